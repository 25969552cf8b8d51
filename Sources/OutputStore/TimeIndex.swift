public import Base
internal import Glibc

/// When a terminal's bytes came, and what size it had: a file of records of 16 bytes beside its segments, so that what was
/// shown can be played again at its own pace. Record: 8 bytes offset (where the bytes that came then end), 8 bytes
/// milliseconds since 1970, both big-endian; of a size the second number is negative: −(columns × 65,536 + rows).
///
/// It tells no more than a time: where it cannot be written, nothing else suffers. Used by one thread at a time.
public final class TimeIndex {
    public enum Entry: Sendable, Equatable {
        /// Bytes up to here had come by then.
        case bytes(end: Int64, at: Timestamp)
        /// From this byte on it had this size.
        case size(from: Int64, columns: UInt16, rows: UInt16)
    }

    private static let recordBytes = 16
    /// Records above which the older ones are thinned.
    public static let standardLimit = 65_536
    /// Of the file, with room for what comes before it is thinned.
    public static let maximumBytes = (standardLimit + 1) * recordBytes
    /// Above so many records the older half loses every second one.
    private let limit: Int
    private let path: String
    private var file: OpenFile?
    private var count = 0
    private var last: (end: Int64, at: Int64) = (-1, 0)

    /// Opens or makes the file.
    public init(path: String, limit: Int = TimeIndex.standardLimit) {
        self.path = path
        self.limit = max(16, limit)
        open()
    }

    private func open() {
        file = try? OpenFile(path: path, flags: O_RDWR | O_CREAT)
        // The last record of a process that was killed may be a part of one.
        count = Int(file?.size ?? 0) / Self.recordBytes
    }

    public var isEmpty: Bool { count == 0 }

    /// Bytes up to `end` have come. What comes within a millisecond is one record.
    public func note(end: Int64, at moment: Timestamp) {
        guard end > last.end else { return }
        if moment.milliseconds == last.at, count > 0 {
            count -= 1
        }
        last = (end, moment.milliseconds)
        append(end, moment.milliseconds)
    }

    public func note(columns: UInt16, rows: UInt16, from offset: Int64) {
        // The record before stays as it is.
        last.at = -1
        append(offset, -(Int64(columns) << 16 | Int64(rows)))
    }

    private func append(_ offset: Int64, _ value: Int64) {
        guard let file else { return }
        let bytes = Self.bytes(offset) + Self.bytes(value)
        let written = bytes.withUnsafeBytes {
            pwrite(file.descriptor, $0.baseAddress, $0.count, count * Self.recordBytes)
        }
        guard written == bytes.count else { return }
        count += 1
        if count > limit { thin() }
    }

    /// Old times become coarser; sizes stay.
    private func thin() {
        let entries = self.entries
        var kept: [UInt8] = []
        for (index, entry) in entries.enumerated() {
            switch entry {
            case .bytes(let end, let at):
                if index < entries.count / 2, index % 2 == 0 { continue }
                kept += Self.bytes(end) + Self.bytes(at.milliseconds)
            case .size(let from, let columns, let rows):
                kept += Self.bytes(from) + Self.bytes(-(Int64(columns) << 16 | Int64(rows)))
            }
        }
        try? Directory.replace(path, with: kept, files: .system, isDurable: false)
        open()
    }

    /// In the order in which they came. All of them: at most ``limit`` times 16 bytes.
    public var entries: [Entry] {
        guard let file, let bytes = try? file.read(at: 0, count: count * Self.recordBytes) else { return [] }
        return stride(from: 0, to: bytes.count - Self.recordBytes + 1, by: Self.recordBytes).map { start in
            let offset = Self.number(bytes[start..<start + 8])
            let value = Self.number(bytes[start + 8..<start + 16])
            guard value < 0 else { return .bytes(end: offset, at: Timestamp(milliseconds: value)) }
            return .size(
                from: offset,
                columns: UInt16(truncatingIfNeeded: -value >> 16),
                rows: UInt16(truncatingIfNeeded: -value)
            )
        }
    }

    private static func bytes(_ number: Int64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int64 {
        Int64(bitPattern: bytes.reduce(0) { $0 << 8 | UInt64($1) })
    }
}
