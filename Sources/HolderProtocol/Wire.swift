/// Why bytes from the other side could not be read.
public enum WireError: Error, Equatable, Sendable {
    case truncated
    case unknownKind(UInt8)
    case invalidValue(String)
    case tooLarge(Int)
    case missingDescriptor
}

/// Little-endian integers and length-prefixed strings, appended in order.
public struct WireWriter {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func put<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    public mutating func put(_ value: Bool) { bytes.append(value ? 1 : 0) }

    public mutating func put(_ text: String) {
        put(UInt32(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    public mutating func put(_ texts: [String]) {
        put(UInt32(texts.count))
        for text in texts { put(text) }
    }
}

/// Reads what ``WireWriter`` wrote.
public struct WireReader {
    private var rest: ArraySlice<UInt8>

    public init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    public var isAtEnd: Bool { rest.isEmpty }

    public mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) throws(WireError) -> Value {
        let size = MemoryLayout<Value>.size
        guard rest.count >= size else { throw .truncated }
        var value: Value = 0
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: rest.prefix(size)) }
        rest.removeFirst(size)
        return Value(littleEndian: value)
    }

    public mutating func boolean() throws(WireError) -> Bool { try integer(UInt8.self) != 0 }

    public mutating func string() throws(WireError) -> String {
        let count = Int(try integer(UInt32.self))
        guard rest.count >= count else { throw .truncated }
        let text = String(decoding: rest.prefix(count), as: UTF8.self)
        rest.removeFirst(count)
        return text
    }

    public mutating func strings() throws(WireError) -> [String] {
        let count = Int(try integer(UInt32.self))
        guard count <= rest.count / 4 else { throw .truncated }
        var texts: [String] = []
        texts.reserveCapacity(count)
        for _ in 0..<count { texts.append(try string()) }
        return texts
    }
}
