internal import Base

/// Bytes to messages: frames, fragments, control frames, masks and their rules. Pure but for the inflater that it is
/// given; feed it any split of the bytes.
struct WebSocketParser {
    enum Event: Equatable {
        case text(String)
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        case close(WebSocketCloseCode?, reason: String)
    }

    /// What a peer may send at most; beyond it the connection closes with 1009, or with 1008 for too many fragments.
    struct Limits {
        var messageBytes: Int
        var frameBytes = Int.max
        var fragments = Int.max
    }

    private enum State {
        case header  // collects up to 14 bytes → payload
        case payload(WebSocketFrame)  // → header
        case closed  // after a close frame or a violation nothing is read
    }

    let role: WebSocketRole
    /// The longest message that one frame may be.
    let maximumMessageBytes: Int
    private var state = State.header
    private var header: [UInt8] = []
    private var control: [UInt8] = []
    private var message: WebSocketAssembly

    /// Without an `inflater` no frame may be compressed.
    init(role: WebSocketRole, limits: Limits, inflater: MessageInflater? = nil) {
        self.role = role
        maximumMessageBytes = min(limits.messageBytes, limits.frameBytes)
        message = WebSocketAssembly(limits: limits, inflater: inflater)
    }

    init(role: WebSocketRole, maximumMessageBytes: Int, inflater: MessageInflater? = nil) {
        self.init(role: role, limits: Limits(messageBytes: maximumMessageBytes), inflater: inflater)
    }

    /// Nothing of a message, nor of a frame's header, has come in yet.
    var isBetweenMessages: Bool {
        if case .header = state { header.isEmpty && !message.isUnderWay } else { false }
    }

    /// Bytes that the frame under way still lacks; nil where none is.
    var missing: Int? {
        if case .payload(let frame) = state { frame.length - frame.received } else { nil }
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
                    try take(count, of: &input, for: frame)
                    frame.received += count
                    guard frame.received == frame.length else {
                        state = .payload(frame)
                        return nil
                    }
                    state = .header
                    if frame.opcode.isControl { return try finishControl(frame.opcode) }
                    if frame.isFinal { return try message.finish() }
                }
            }
        } catch {
            state = .closed
            message.discard()
            throw error
        }
    }

    // MARK: Headers

    private mutating func readHeader(
        _ input: inout UnsafeRawBufferPointer
    ) throws(WebSocketViolation) -> WebSocketFrame? {
        while true {
            let needed = WebSocketFrame.headerLength(header)
            if header.count == needed { break }
            let count = min(needed - header.count, input.count)
            guard count > 0 else { return nil }
            header.append(contentsOf: input[..<count])
            input = UnsafeRawBufferPointer(rebasing: input[count...])
            if header.count >= 2 { try checkFirstBytes() }
        }
        defer { header.removeAll(keepingCapacity: true) }
        let frame = try WebSocketFrame(header)
        if !frame.opcode.isControl { try message.begin(frame) }
        return frame
    }

    private func checkFirstBytes() throws(WebSocketViolation) {
        guard let opcode = WebSocketOpcode(rawValue: header[0] & 0x0F) else {
            throw .init(.protocolError, "unknown opcode \(header[0] & 0x0F)")
        }
        let reserved = header[0] & 0x70
        if reserved != 0 {
            // RSV1 marks the first frame of a compressed message (RFC 7692, section 6).
            guard reserved == WebSocketFrame.compressedBit, message.mayBeCompressed,
                opcode == .text || opcode == .binary
            else { throw .init(.protocolError, "a reserved bit is set") }
        }
        if opcode.isControl {
            guard header[0] & 0x80 != 0 else { throw .init(.protocolError, "a control frame is fragmented") }
            guard header[1] & 0x7F < 126 else { throw .init(.protocolError, "a control frame is too long") }
        } else if opcode == .continuation {
            guard message.isUnderWay else { throw .init(.protocolError, "a continuation without a beginning") }
        } else {
            guard !message.isUnderWay else { throw .init(.protocolError, "a message begins within another") }
        }
        guard (header[1] & 0x80 != 0) == (role == .server) else {
            throw .init(
                .protocolError,
                role == .server ? "a client's frame is not masked" : "a server's frame is masked"
            )
        }
    }

    // MARK: Payloads

    private mutating func take(
        _ count: Int,
        of input: inout UnsafeRawBufferPointer,
        for frame: WebSocketFrame
    ) throws(WebSocketViolation) {
        guard count > 0 else { return }
        let bytes = UnsafeRawBufferPointer(rebasing: input[..<count])
        input = UnsafeRawBufferPointer(rebasing: input[count...])
        if frame.opcode.isControl {
            frame.unmask(bytes, onto: &control)
        } else {
            try message.append(bytes, of: frame)
        }
    }

    private mutating func finishControl(_ opcode: WebSocketOpcode) throws(WebSocketViolation) -> Event {
        let payload = control
        control = []
        switch opcode {
        case .ping: return .ping(payload)
        case .pong: return .pong(payload)
        default:
            state = .closed
            message.discard()
            return try Self.close(payload)
        }
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
