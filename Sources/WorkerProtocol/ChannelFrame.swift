public import Base

/// Binary frames of a link: bulk bytes on channels, with credit. Layout, numbers big-endian:
///
///     0      kind: 1 data, 2 credit, 3 end, 4 tail, 5 reset
///     1–4    channel
///     5–12   offset
///     13–…   data and tail: the bytes; credit: 8 bytes, the durable offset; reset: the reason in words
///
/// Channels of output are numbered by the worker, from 1, and carry bytes to the server. TCP channels are numbered by
/// the server, from ``firstTCPChannel``, and carry bytes both ways, each with its own offsets from 0, credit and end;
/// a number is used once per connection. `durable` of their credit is what was passed on.
public enum ChannelFrame: Sendable, Equatable {
    /// Bytes from `offset` on.
    case data(channel: UInt32, offset: Int64, bytes: ArraySlice<UInt8>)
    /// From the receiver: bytes below `limit` may be sent; those below `durable` are stored and need not be kept.
    case credit(channel: UInt32, limit: Int64, durable: Int64)
    /// Nothing follows; `total` is the number of bytes that were written to the stream, sent or not.
    case end(channel: UInt32, total: Int64)
    /// The last bytes of a capped stream, from `offset` on, behind a gap.
    case tail(channel: UInt32, offset: Int64, bytes: ArraySlice<UInt8>)
    /// The sender takes nothing more of a TCP channel and has forgotten it. What it sent before its `end` still counts.
    case reset(channel: UInt32, reason: String)

    public static let firstTCPChannel: UInt32 = 1 << 31
    public static let headerLength = 13
    /// How far a sender may be ahead of the receiver's durable offset at the start.
    public static let initialCredit: Int64 = 1 << 20
    /// The largest payload of one data frame.
    public static let maximumPayload = 256 << 10

    /// Bytes of a reset's reason at most.
    public static let maximumReason = 120

    /// The reason as short as a reset takes it, and as the close of a WebSocket does.
    public static func cut(_ reason: String) -> String {
        var reason = reason
        while reason.utf8.count > maximumReason { reason.removeLast() }
        return reason
    }

    public func encoded() -> [UInt8] {
        switch self {
        case .data(let channel, let offset, let bytes): Self.frame(1, channel, offset, bytes)
        case .credit(let channel, let limit, let durable):
            Self.frame(2, channel, limit, withUnsafeBytes(of: durable.bigEndian) { Array($0) }[...])
        case .end(let channel, let total): Self.frame(3, channel, total, [])
        case .tail(let channel, let offset, let bytes): Self.frame(4, channel, offset, bytes)
        case .reset(let channel, let reason): Self.frame(5, channel, 0, Array(Self.cut(reason).utf8)[...])
        }
    }

    public init(decoding bytes: [UInt8]) throws(BerthError) {
        guard bytes.count >= Self.headerLength else {
            throw BerthError(.protocolViolation, "a channel frame of \(bytes.count) bytes is shorter than its head")
        }
        let channel = UInt32(truncatingIfNeeded: Self.number(bytes[1..<5]))
        let offset = Self.number(bytes[5..<13])
        let payload = bytes[13...]
        guard offset >= 0 else { throw BerthError(.protocolViolation, "a channel frame has a negative offset") }
        switch bytes[0] {
        case 1: self = .data(channel: channel, offset: offset, bytes: payload)
        case 2:
            guard payload.count == 8 else {
                throw BerthError(.protocolViolation, "a credit frame carries \(payload.count) bytes, not 8")
            }
            self = .credit(channel: channel, limit: offset, durable: Self.number(payload))
        case 3:
            guard payload.isEmpty else {
                throw BerthError(.protocolViolation, "an end frame carries \(payload.count) bytes, not 0")
            }
            self = .end(channel: channel, total: offset)
        case 4: self = .tail(channel: channel, offset: offset, bytes: payload)
        case 5:
            guard offset == 0, payload.count <= Self.maximumReason,
                let reason = String(validating: payload, as: UTF8.self)
            else { throw BerthError(.protocolViolation, "a reset frame is no number 0 and a short reason in words") }
            self = .reset(channel: channel, reason: reason)
        default: throw BerthError(.protocolViolation, "\(bytes[0]) is not a kind of channel frame")
        }
    }

    private static func frame(_ kind: UInt8, _ channel: UInt32, _ number: Int64, _ payload: ArraySlice<UInt8>)
        -> [UInt8]
    {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(headerLength + payload.count)
        bytes.append(kind)
        withUnsafeBytes(of: channel.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: payload)
        return bytes
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int64 {
        Int64(bitPattern: bytes.reduce(0) { $0 << 8 | UInt64($1) })
    }
}
