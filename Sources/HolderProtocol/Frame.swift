/// Sixteen bytes before every message: payload length, kind, number of descriptors, request number.
public struct FrameHeader: Equatable, Sendable {
    public static let size = 16
    /// Arguments and environment of one exec fit well (the kernel's own limit is a quarter of the stack, 2 MiB).
    public static let maximumPayload = 4 << 20

    public var length: Int
    public var kind: UInt8
    public var descriptorCount: UInt8
    public var number: UInt64

    public init(length: Int, kind: UInt8, descriptorCount: UInt8, number: UInt64) {
        self.length = length
        self.kind = kind
        self.descriptorCount = descriptorCount
        self.number = number
    }

    public var bytes: [UInt8] {
        var writer = WireWriter()
        writer.put(UInt32(length))
        writer.put(kind)
        writer.put(descriptorCount)
        writer.put(UInt16(0))
        writer.put(number)
        return writer.bytes
    }

    init(from reader: inout WireReader) throws(WireError) {
        length = Int(try reader.integer(UInt32.self))
        kind = try reader.integer()
        descriptorCount = try reader.integer()
        _ = try reader.integer(UInt16.self)
        number = try reader.integer()
        guard length <= Self.maximumPayload else { throw .tooLarge(length) }
    }
}

public struct Frame: Sendable {
    public var header: FrameHeader
    public var payload: ArraySlice<UInt8>

    public init(header: FrameHeader, payload: ArraySlice<UInt8>) {
        self.header = header
        self.payload = payload
    }
}

/// Cuts a byte stream into frames.
public struct FrameBuffer {
    private var bytes: [UInt8] = []
    private var start = 0

    public init() {}

    public mutating func append(_ more: UnsafeRawBufferPointer) {
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
        bytes.append(contentsOf: more)
    }

    /// The next whole frame, nil when more bytes are needed.
    public mutating func next() throws(WireError) -> Frame? {
        guard bytes.count - start >= FrameHeader.size else { return nil }
        var reader = WireReader(bytes[start..<start + FrameHeader.size])
        let header = try FrameHeader(from: &reader)
        let end = start + FrameHeader.size + header.length
        guard bytes.count >= end else { return nil }
        let frame = Frame(header: header, payload: bytes[(start + FrameHeader.size)..<end])
        start = end
        if start == bytes.count {
            bytes = []
            start = 0
        }
        return frame
    }
}
