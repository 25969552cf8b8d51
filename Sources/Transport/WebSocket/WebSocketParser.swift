internal import Base

/// Bytes to messages: frames, fragments, control frames, masks and their rules. Pure; feed it any split of the bytes.
struct WebSocketParser {
    enum Event: Equatable {
        case text(String)
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        case close(WebSocketCloseCode?, reason: String)
    }

    private enum State {
        case header  // collects up to 14 bytes → payload
        case payload(Frame)  // → header
        case closed  // after a close frame or a violation nothing is read
    }

    private struct Frame {
        let opcode: WebSocketOpcode
        let isFinal: Bool
        let mask: UInt32?
        let length: Int
        var received = 0
    }

    let role: WebSocketRole
    let maximumMessageBytes: Int
    private var state = State.header
    private var header: [UInt8] = []
    private var control: [UInt8] = []
    /// The data message under way: its first frame's opcode and the bytes so far.
    private var messageOpcode: WebSocketOpcode?
    private var message: [UInt8] = []

    init(role: WebSocketRole, maximumMessageBytes: Int) {
        self.role = role
        self.maximumMessageBytes = maximumMessageBytes
    }

    /// Nothing of a message, nor of a frame's header, has come in yet.
    var isBetweenMessages: Bool {
        if case .header = state { header.isEmpty && messageOpcode == nil } else { false }
    }

    var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    /// Takes bytes off the front of `input` up to the next event; nil when more are needed.
    mutating func next(_ input: inout UnsafeRawBufferPointer) throws(WebSocketViolation) -> Event? {
        do {
            while true {
                switch state {
                case .closed: return nil
                case .header:
                    guard let frame = try readHeader(&input) else { return nil }
                    state = .payload(frame)
                case .payload(var frame):
                    let count = min(input.count, frame.length - frame.received)
                    if frame.length > 0, count == 0 { return nil }
                    take(count, of: &input, for: frame)
                    frame.received += count
                    guard frame.received == frame.length else {
                        state = .payload(frame)
                        return nil
                    }
                    state = .header
                    if let event = try finish(frame) { return event }
                }
            }
        } catch {
            state = .closed
            message = []
            throw error
        }
    }

    // MARK: Headers

    private mutating func readHeader(_ input: inout UnsafeRawBufferPointer) throws(WebSocketViolation) -> Frame? {
        while true {
            let needed = Self.headerLength(header)
            if header.count == needed { break }
            let count = min(needed - header.count, input.count)
            guard count > 0 else { return nil }
            header.append(contentsOf: input[..<count])
            input = UnsafeRawBufferPointer(rebasing: input[count...])
            if header.count >= 2 { try checkFirstBytes() }
        }
        defer { header.removeAll(keepingCapacity: true) }
        return try makeFrame()
    }

    /// Known step by step: two bytes tell the rest.
    private static func headerLength(_ header: [UInt8]) -> Int {
        guard header.count >= 2 else { return 2 }
        let extended =
            switch header[1] & 0x7F {
            case 126: 2
            case 127: 8
            default: 0
            }
        return 2 + extended + (header[1] & 0x80 != 0 ? 4 : 0)
    }

    private func checkFirstBytes() throws(WebSocketViolation) {
        guard header[0] & 0x70 == 0 else { throw .init(.protocolError, "a reserved bit is set") }
        guard let opcode = WebSocketOpcode(rawValue: header[0] & 0x0F) else {
            throw .init(.protocolError, "unknown opcode \(header[0] & 0x0F)")
        }
        let isFinal = header[0] & 0x80 != 0
        if opcode.isControl {
            guard isFinal else { throw .init(.protocolError, "a control frame is fragmented") }
            guard header[1] & 0x7F < 126 else { throw .init(.protocolError, "a control frame is too long") }
        } else if opcode == .continuation {
            guard messageOpcode != nil else { throw .init(.protocolError, "a continuation without a beginning") }
        } else {
            guard messageOpcode == nil else { throw .init(.protocolError, "a message begins within another") }
        }
        guard (header[1] & 0x80 != 0) == (role == .server) else {
            throw .init(
                .protocolError,
                role == .server ? "a client's frame is not masked" : "a server's frame is masked"
            )
        }
    }

    private mutating func makeFrame() throws(WebSocketViolation) -> Frame {
        let opcode = WebSocketOpcode(rawValue: header[0] & 0x0F) ?? .continuation
        var length = UInt64(header[1] & 0x7F)
        var position = 2
        if length >= 126 {
            let end = length == 126 ? 4 : 10
            length = header[2..<end].reduce(0) { $0 << 8 | UInt64($1) }
            position = end
            guard length >= (end == 4 ? 126 : 0x1_0000) else { throw .init(.protocolError, "a length is not minimal") }
        }
        if !opcode.isControl, length > UInt64(maximumMessageBytes - min(message.count, maximumMessageBytes)) {
            throw .init(.tooLarge, "a message is longer than \(maximumMessageBytes) bytes")
        }
        let mask =
            header[1] & 0x80 != 0
            ? header.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: UInt32.self) } : nil
        if opcode == .text || opcode == .binary {
            messageOpcode = opcode
            // Announced, not yet sent: room for it grows with what comes.
            message.reserveCapacity(min(Int(length), 256 * 1024))
        }
        return Frame(opcode: opcode, isFinal: header[0] & 0x80 != 0, mask: mask, length: Int(length))
    }

    // MARK: Payloads

    private mutating func take(_ count: Int, of input: inout UnsafeRawBufferPointer, for frame: Frame) {
        guard count > 0 else { return }
        let bytes = UnsafeRawBufferPointer(rebasing: input[..<count])
        input = UnsafeRawBufferPointer(rebasing: input[count...])
        if frame.opcode.isControl {
            Self.append(bytes, frame, to: &control)
        } else {
            Self.append(bytes, frame, to: &message)
        }
    }

    private static func append(_ bytes: UnsafeRawBufferPointer, _ frame: Frame, to target: inout [UInt8]) {
        let start = target.count
        target.append(contentsOf: bytes)
        guard let mask = frame.mask else { return }
        target.withUnsafeMutableBytes { target in
            WebSocketMask.apply(
                mask,
                offset: frame.received,
                to: UnsafeMutableRawBufferPointer(rebasing: target[start...])
            )
        }
    }

    private mutating func finish(_ frame: Frame) throws(WebSocketViolation) -> Event? {
        if frame.opcode.isControl {
            let payload = control
            control = []
            switch frame.opcode {
            case .ping: return .ping(payload)
            case .pong: return .pong(payload)
            default:
                state = .closed
                return try Self.close(payload)
            }
        }
        guard frame.isFinal else { return nil }
        let opcode = messageOpcode
        let bytes = message
        messageOpcode = nil
        message = []
        if opcode == .binary { return .binary(bytes) }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .init(.invalidPayload, "a text message is not UTF-8")
        }
        return .text(text)
    }

    private static func close(_ payload: [UInt8]) throws(WebSocketViolation) -> Event {
        if payload.isEmpty { return .close(nil, reason: "") }
        guard payload.count >= 2 else { throw .init(.protocolError, "a close code is cut off") }
        let code = WebSocketCloseCode(rawValue: UInt16(payload[0]) << 8 | UInt16(payload[1]))
        guard code.mayBeSent else { throw .init(.protocolError, "close code \(code.rawValue) may not be sent") }
        guard let reason = String(validating: payload[2...], as: UTF8.self) else {
            throw .init(.invalidPayload, "a close reason is not UTF-8")
        }
        return .close(code, reason: reason)
    }
}
