/// What crosses the data port: a header of 12 bytes (kind, three zeros, channel, length; little endian), then the payload.
package enum ChannelFrame: Equatable {
    /// From the guest. Target 0 is the server's link, any other a TCP port of the host's loopback.
    case open(channel: UInt32, target: UInt16)
    case data(channel: UInt32, [UInt8])
    /// The other side may send this many bytes more.
    case credit(channel: UInt32, UInt32)
    /// No more bytes follow in this direction.
    case finish(channel: UInt32)
    /// The connection is gone, in both directions.
    case reset(channel: UInt32)

    package static let headerSize = 12
    package static let maximumPayload = 32768

    /// The peer does not keep to the format; the link begins anew.
    package struct Violation: Error, Equatable {
        package var message: String
    }

    package func encode(into bytes: inout [UInt8]) {
        switch self {
        case .open(let channel, let target):
            Self.header(1, channel, 2, &bytes)
            bytes += [UInt8(truncatingIfNeeded: target), UInt8(truncatingIfNeeded: target >> 8)]
        case .data(let channel, let payload):
            Self.header(2, channel, payload.count, &bytes)
            bytes += payload
        case .credit(let channel, let count):
            Self.header(3, channel, 4, &bytes)
            Self.put(count, &bytes)
        case .finish(let channel): Self.header(4, channel, 0, &bytes)
        case .reset(let channel): Self.header(5, channel, 0, &bytes)
        }
    }

    /// The first frame of `bytes` and its size; nil while it is not whole.
    package static func decode(_ bytes: ArraySlice<UInt8>) throws(Violation) -> (ChannelFrame, size: Int)? {
        guard bytes.count >= headerSize else { return nil }
        let start = bytes.startIndex
        let channel = number(bytes, at: start + 4)
        let length = Int(number(bytes, at: start + 8))
        guard length <= maximumPayload, bytes[start + 1] == 0, bytes[start + 2] == 0, bytes[start + 3] == 0 else {
            throw Violation(message: "a frame of \(length) bytes")
        }
        guard bytes.count >= headerSize + length else { return nil }
        let payload = bytes[(start + headerSize)..<(start + headerSize + length)]
        let frame: ChannelFrame
        switch (bytes[start], length) {
        case (1, 2):
            frame = .open(
                channel: channel,
                target: UInt16(payload[payload.startIndex]) | UInt16(payload.last ?? 0) << 8
            )
        case (2, 1...): frame = .data(channel: channel, Array(payload))
        case (3, 4): frame = .credit(channel: channel, number(bytes, at: payload.startIndex))
        case (4, 0): frame = .finish(channel: channel)
        case (5, 0): frame = .reset(channel: channel)
        default: throw Violation(message: "a frame of kind \(bytes[start]) with \(length) bytes")
        }
        return (frame, headerSize + length)
    }

    private static func header(_ kind: UInt8, _ channel: UInt32, _ length: Int, _ bytes: inout [UInt8]) {
        bytes += [kind, 0, 0, 0]
        put(channel, &bytes)
        put(UInt32(length), &bytes)
    }

    private static func put(_ value: UInt32, _ bytes: inout [UInt8]) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>, at index: Int) -> UInt32 {
        UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16
            | UInt32(bytes[index + 3]) << 24
    }
}
