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

/// Makes frames.
enum WebSocketEncoder {
    /// Appends the header of one unfragmented frame; `mask` is the key of a client's frame.
    static func appendHeader(_ opcode: WebSocketOpcode, length: Int, mask: UInt32?, to bytes: inout [UInt8]) {
        bytes.append(0x80 | opcode.rawValue)
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

    static func closePayload(_ code: WebSocketCloseCode?, _ reason: String) -> [UInt8] {
        guard let code else { return [] }
        var payload = [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xFF)]
        var reason = reason
        while reason.utf8.count > 123 { reason.removeLast() }
        payload.append(contentsOf: reason.utf8)
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
