import Base
import Database

/// The values of one statement as libpq takes them: addresses, lengths and formats, all into one piece of memory.
struct PostgresValues {
    private var bytes: [UInt8] = []
    private var places: [Int?] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []

    init(_ values: [SQLValue]) throws {
        places.reserveCapacity(values.count)
        for (index, value) in values.enumerated() { try add(value, number: index + 1) }
    }

    /// One after the other.
    init(joining parts: ArraySlice<PostgresValues>) {
        bytes.reserveCapacity(parts.reduce(0) { $0 + $1.bytes.count })
        for part in parts {
            let start = bytes.count
            bytes += part.bytes
            places += part.places.map { place in place.map { start + $0 } }
            lengths += part.lengths
            formats += part.formats
        }
    }

    var count: Int { places.count }

    private mutating func add(_ value: SQLValue, number: Int) throws {
        let start = bytes.count
        var format: Int32 = 0
        switch value {
        case .null:
            places.append(nil)
            lengths.append(0)
            formats.append(0)
            return
        case .integer(let integer): bytes += "\(integer)".utf8
        case .real(let real): bytes += "\(real)".utf8
        case .text(let text):
            bytes += text.utf8
            guard !bytes[start...].contains(0) else { throw BerthError.textWithNUL(value: number) }
        case .blob(let blob):
            bytes += blob
            format = 1
        }
        places.append(start)
        lengths.append(Int32(clamping: bytes.count - start))
        formats.append(format)
        bytes.append(0)
    }

    /// The addresses hold for the length of `body`.
    func withPointers<Value>(
        _ body: (Int32, [UnsafePointer<CChar>?], [Int32], [Int32]) -> Value
    ) -> Value {
        bytes.withUnsafeBytes { memory in
            let base = memory.bindMemory(to: CChar.self).baseAddress
            let pointers = places.map { place in place.flatMap { offset in base.map { $0 + offset } } }
            return body(Int32(pointers.count), pointers, lengths, formats)
        }
    }
}
