internal import Base

/// The data message under way: put together from its frames, expanded, and checked while it comes in.
struct WebSocketAssembly {
    private let limits: WebSocketParser.Limits
    private let inflater: MessageInflater?
    /// Of the first frame; nil between messages.
    private var opcode: WebSocketOpcode?
    private var isCompressed = false
    private var fragments = 0
    /// Announced by the frames so far, as they are on the wire.
    private var announced = 0
    private var bytes: [UInt8] = []
    private var validator = UTF8Validator()
    /// Bytes of a text that `validator` has seen.
    private var validated = 0

    init(limits: WebSocketParser.Limits, inflater: MessageInflater?) {
        self.limits = limits
        self.inflater = inflater
    }

    var isUnderWay: Bool { opcode != nil }
    var mayBeCompressed: Bool { inflater != nil }

    /// `frame` is the next of the message under way, or the first of a new one.
    mutating func begin(_ frame: WebSocketFrame) throws(WebSocketViolation) {
        if opcode == nil {
            opcode = frame.opcode
            isCompressed = frame.isCompressed
        }
        fragments += 1
        guard fragments <= limits.fragments else {
            throw .init(.policyViolation, "a message has more than \(limits.fragments) fragments")
        }
        guard frame.length <= limits.frameBytes else {
            throw .init(.tooLarge, "a frame is longer than \(limits.frameBytes) bytes")
        }
        // What does not compress becomes a little longer by it.
        let limit = isCompressed ? limits.messageBytes + limits.messageBytes / 64 + 1024 : limits.messageBytes
        guard frame.length <= limit - announced else { throw tooLong }
        announced += frame.length
        // Announced, not yet sent: room for it grows with what comes.
        if !isCompressed { bytes.reserveCapacity(min(announced, 64 * 1024)) }
    }

    /// The next bytes of `frame`, as they are on the wire.
    mutating func append(_ input: UnsafeRawBufferPointer, of frame: WebSocketFrame) throws(WebSocketViolation) {
        if isCompressed {
            var packed: [UInt8] = []
            frame.unmask(input, onto: &packed)
            try expand(packed)
            return try validate()
        }
        frame.unmask(input, onto: &bytes)
        // A message that comes in one piece is checked when it becomes a string.
        let isWhole = frame.isFinal && frame.length == input.count && bytes.count == input.count
        if !isWhole { try validate() }
    }

    private mutating func expand(_ packed: [UInt8]) throws(WebSocketViolation) {
        guard let inflater else { return }
        do {
            try inflater.expand(packed, into: &bytes, limit: limits.messageBytes)
        } catch {
            // Whatever came out before is looked at first, so that the verdict does not depend on how the bytes came.
            try validate()
            throw error
        }
    }

    private mutating func validate() throws(WebSocketViolation) {
        guard opcode == .text, validated < bytes.count else { return }
        let start = validated
        validated = bytes.count
        let isRight = bytes.withUnsafeBytes { validator.accepts(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        guard isRight else { throw Self.notUTF8 }
    }

    /// The message is complete.
    mutating func finish() throws(WebSocketViolation) -> WebSocketParser.Event {
        // Some senders make an empty message of no byte at all.
        if isCompressed, announced > 0, let inflater {
            try inflater.finish(into: &bytes, limit: limits.messageBytes)
            try validate()
        }
        let message = bytes
        let isText = opcode == .text
        let isValidated = validated > 0
        let endsWhole = validator.isComplete
        discard()
        guard isText else { return .binary(message) }
        if isValidated {
            guard endsWhole else { throw Self.notUTF8 }
            return .text(String(decoding: message, as: UTF8.self))
        }
        guard let text = String(validating: message, as: UTF8.self) else { throw Self.notUTF8 }
        return .text(text)
    }

    mutating func discard() {
        opcode = nil
        isCompressed = false
        fragments = 0
        announced = 0
        bytes = []
        validator = UTF8Validator()
        validated = 0
    }

    private var tooLong: WebSocketViolation {
        .init(.tooLarge, "a message is longer than \(limits.messageBytes) bytes")
    }

    private static var notUTF8: WebSocketViolation { .init(.invalidPayload, "a text message is not UTF-8") }
}
