internal import Base

/// Which side of a WebSocket this is: clients mask, servers do not (RFC 6455, section 5.1).
enum WebSocketRole: Sendable { case server, client }

enum WebSocketOpcode: UInt8 {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10

    var isControl: Bool { rawValue >= 8 }
}

/// What a peer may not send, with the close code that tells it so.
struct WebSocketViolation: Error, Equatable {
    let code: WebSocketCloseCode
    let message: String

    init(_ code: WebSocketCloseCode, _ message: String) {
        self.code = code
        self.message = message
    }
}

/// The header of one frame (RFC 6455, section 5.2), and how much of its payload has been seen.
struct WebSocketFrame {
    let opcode: WebSocketOpcode
    let isFinal: Bool
    let isCompressed: Bool
    let mask: UInt32?
    let length: Int
    var received = 0

    /// RSV1 in the first byte.
    static let compressedBit: UInt8 = 0x40

    /// How long the header is, known step by step: two bytes tell the rest.
    static func headerLength(_ header: [UInt8]) -> Int {
        guard header.count >= 2 else { return 2 }
        let extended =
            switch header[1] & 0x7F {
            case 126: 2
            case 127: 8
            default: 0
            }
        return 2 + extended + (header[1] & 0x80 != 0 ? 4 : 0)
    }

    /// From a complete header whose opcode is a known one.
    init(_ header: [UInt8]) throws(WebSocketViolation) {
        opcode = WebSocketOpcode(rawValue: header[0] & 0x0F) ?? .continuation
        isFinal = header[0] & 0x80 != 0
        isCompressed = header[0] & Self.compressedBit != 0
        var length = UInt64(header[1] & 0x7F)
        var position = 2
        if length >= 126 {
            let end = length == 126 ? 4 : 10
            length = header[2..<end].reduce(0) { $0 << 8 | UInt64($1) }
            position = end
            guard length >= (end == 4 ? 126 : 0x1_0000) else { throw .init(.protocolError, "a length is not minimal") }
            guard length <= UInt64(Int64.max) else { throw .init(.protocolError, "a length has its highest bit set") }
        }
        self.length = Int(length)
        mask =
            header[1] & 0x80 != 0
            ? header.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: UInt32.self) } : nil
    }

    /// Appends the payload's next `bytes` to `target` as they were before masking.
    func unmask(_ bytes: UnsafeRawBufferPointer, onto target: inout [UInt8]) {
        let start = target.count
        target.append(contentsOf: bytes)
        guard let mask else { return }
        target.withUnsafeMutableBytes { target in
            WebSocketMask.apply(mask, offset: received, to: UnsafeMutableRawBufferPointer(rebasing: target[start...]))
        }
    }
}

/// Makes frames.
enum WebSocketEncoder {
    /// Appends the header of one frame; `mask` is the key of a client's frame.
    static func appendHeader(
        _ opcode: WebSocketOpcode,
        length: Int,
        mask: UInt32?,
        isFinal: Bool = true,
        isCompressed: Bool = false,
        to bytes: inout [UInt8]
    ) {
        bytes.append((isFinal ? 0x80 : 0) | (isCompressed ? WebSocketFrame.compressedBit : 0) | opcode.rawValue)
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        switch length {
        case 0..<126: bytes.append(maskBit | UInt8(length))
        case 126...0xFFFF:
            bytes.append(maskBit | 126)
            bytes.append(UInt8(length >> 8))
            bytes.append(UInt8(length & 0xFF))
        default:
            bytes.append(maskBit | 127)
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: length >> shift))
            }
        }
        if let mask { withUnsafeBytes(of: mask) { bytes.append(contentsOf: $0) } }
    }

    /// Without a code there is no reason either. A code that has no place on the wire becomes 1011; of a reason that is
    /// too long for a control frame the whole characters that fit are sent.
    static func closePayload(_ code: WebSocketCloseCode?, _ reason: String) -> [UInt8] {
        guard let code else { return [] }
        let value = code.mayBeSent ? code.rawValue : WebSocketCloseCode.internalError.rawValue
        var payload = [UInt8(value >> 8), UInt8(value & 0xFF)]
        var end = reason.utf8.index(reason.startIndex, offsetBy: 123, limitedBy: reason.endIndex) ?? reason.endIndex
        while end.samePosition(in: reason.unicodeScalars) == nil { end = reason.utf8.index(before: end) }
        payload.append(contentsOf: reason.utf8[..<end])
        return payload
    }
}

/// XOR with a repeating four-byte key, eight bytes at a time.
enum WebSocketMask {
    /// `key` holds the key's bytes in memory order; `offset` is the position of the first byte within the payload.
    static func apply(_ key: UInt32, offset: Int, to bytes: UnsafeMutableRawBufferPointer) {
        guard var position = bytes.baseAddress, bytes.count > 0 else { return }
        let shift = UInt32(offset & 3) * 8
        // In memory order on a little-endian machine the key's next byte is the lowest.
        let little = UInt32(littleEndian: key)
        let turned = shift == 0 ? little : little >> shift | little << (32 - shift)
        let wide = UInt64(turned) << 32 | UInt64(turned)
        let end = position + bytes.count
        while end - position >= 32 {
            for step in 0..<4 {
                let word = position.loadUnaligned(fromByteOffset: step * 8, as: UInt64.self)
                position.storeBytes(of: word ^ wide.littleEndian, toByteOffset: step * 8, as: UInt64.self)
            }
            position += 32
        }
        while end - position >= 8 {
            let word = position.loadUnaligned(as: UInt64.self)
            position.storeBytes(of: word ^ wide.littleEndian, as: UInt64.self)
            position += 8
        }
        var rest = wide
        while position < end {
            let byte = position.load(as: UInt8.self)
            position.storeBytes(of: byte ^ UInt8(truncatingIfNeeded: rest), as: UInt8.self)
            rest >>= 8
            position += 1
        }
    }
}
