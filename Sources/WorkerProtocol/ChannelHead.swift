/// The head of a ``ChannelFrame`` read from, and written to, memory that belongs to somebody else: for bytes that are
/// passed on as they come.
public struct ChannelHead: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        case data = 1
        case credit = 2
        case end = 3
        case tail = 4
        case reset = 5
    }

    public var kind: Kind
    public var channel: UInt32
    /// Offset, limit or total.
    public var number: Int64

    public init(_ kind: Kind, channel: UInt32, number: Int64) {
        self.kind = kind
        self.channel = channel
        self.number = number
    }

    /// nil for what is too short, of no known kind, or has a negative number.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= ChannelFrame.headerLength, let kind = Kind(rawValue: bytes[0]) else { return nil }
        let number = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 5, as: Int64.self))
        guard number >= 0 else { return nil }
        self.kind = kind
        self.number = number
        channel = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self))
    }

    /// Writes `ChannelFrame.headerLength` bytes.
    public func write(to memory: UnsafeMutableRawPointer) {
        memory.storeBytes(of: kind.rawValue, as: UInt8.self)
        memory.storeBytes(of: channel.bigEndian, toByteOffset: 1, as: UInt32.self)
        memory.storeBytes(of: number.bigEndian, toByteOffset: 5, as: Int64.self)
    }
}
