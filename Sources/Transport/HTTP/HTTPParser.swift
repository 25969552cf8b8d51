internal import CLLHTTP

/// The head of a request or a response as it was on the wire.
struct HTTPHead {
    /// First the request target, then names and values of the fields.
    var bytes: [UInt8] = []
    var fields: [HTTPHeaders.Field] = []
    var targetLength = 0
    var method: llhttp_method = HTTP_GET
    var status = 0
    var minorVersion = 1
    var majorVersion = 1
    var keepsAlive = false
    var isUpgrade = false
    var isChunked = false
    var contentLength: UInt64?

    var headers: HTTPHeaders {
        var headers = HTTPHeaders()
        headers.bytes = bytes
        headers.fields = fields
        return headers
    }
}

protocol HTTPParserDelegate: AnyObject {
    func parserReadHead(_ head: HTTPHead) -> HTTPParser.Verdict
    /// `bytes` are valid only during the call.
    func parserReadBody(_ bytes: UnsafeRawBufferPointer) -> HTTPParser.Verdict
    func parserReadMessage()
}

/// llhttp with limits. It stops after each message; ``resume()`` goes on to the next.
final class HTTPParser {
    enum Kind { case request, response }

    enum Verdict {
        case proceed
        case noBody  // the answer to HEAD
        case notUpgraded  // an upgrade that is answered as a plain request
        case refuse(status: Int, reason: String = "not allowed here")
    }

    enum Step {
        case needsMore
        /// A message is complete; what follows `consumed` belongs to the next, or to the upgraded protocol.
        case messageEnded(consumed: Int)
        /// `status` is what a server answers.
        case failed(status: Int, reason: String)
    }

    struct Limits {
        var headBytes = 16 * 1024
        var targetBytes = 8 * 1024
        var fields = 100
    }

    private let parser = UnsafeMutablePointer<llhttp_t>.allocate(capacity: 1)
    private let limits: Limits
    private unowned let delegate: any HTTPParserDelegate
    private var head = HTTPHead()
    private var isInHead = true
    private var lastWasValue = false
    private var unparsedHead = 0
    private var extra = 0
    private var refusal: (status: Int, reason: String)?
    /// Whether bytes of the current message's head have come in.
    var hasStartedHead: Bool { isInHead && unparsedHead > 0 }

    init(_ kind: Kind, limits: Limits, delegate: any HTTPParserDelegate) {
        self.limits = limits
        self.delegate = delegate
        llhttp_init(parser, kind == .request ? HTTP_REQUEST : HTTP_RESPONSE, Callbacks.settings)
        // Unretained: callbacks come only from within `execute` and `finish`.
        parser.pointee.data = Unmanaged.passUnretained(self).toOpaque()
    }

    deinit { parser.deallocate() }

    func resume() { llhttp_resume(parser) }

    /// The upgrade that the message just ended asked for is refused: what follows is HTTP again.
    func declineUpgrade() {
        // Behind the message's own pause lies that of the upgrade, which llhttp comes to without reading anything.
        resume()
        var nothing: CChar = 0
        llhttp_execute(parser, &nothing, 0)
        llhttp_resume_after_upgrade(parser)
        parser.pointee.upgrade = 0
    }

    func execute(_ bytes: UnsafeRawBufferPointer) -> Step {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return .needsMore }
        let start = base.assumingMemoryBound(to: CChar.self)
        if isInHead { unparsedHead += bytes.count }
        let result = llhttp_execute(parser, start, bytes.count)
        switch result {
        case HPE_OK:
            // White space around fields costs nothing in `head`, so what came in is bounded as well.
            if isInHead, unparsedHead > 2 * limits.headBytes { return .failed(status: 431, reason: "head too large") }
            return .needsMore
        case HPE_PAUSED, HPE_PAUSED_UPGRADE:
            let consumed = UnsafePointer(start).distance(to: llhttp_get_error_pos(parser))
            return .messageEnded(consumed: consumed)
        default:
            if let refusal { return .failed(status: refusal.status, reason: refusal.reason) }
            let reason = llhttp_get_error_reason(parser).map { String(cString: $0) } ?? "malformed"
            let offender = llhttp_get_error_pos(parser).map { UInt8(bitPattern: $0.pointee) }
            return .failed(status: Self.status(of: result, reason: reason, offender: offender), reason: reason)
        }
    }

    /// - Parameter offender: the byte that llhttp stumbled over.
    private static func status(of error: llhttp_errno_t, reason: String, offender: UInt8?) -> Int {
        switch error {
        // Other mistakes in a version are mistakes of syntax.
        case HPE_INVALID_VERSION where reason == "Invalid HTTP version": 505
        case HPE_PAUSED_H2_UPGRADE: 505
        // A token that names no method llhttp has heard of (RFC 9110, section 9.1).
        case HPE_INVALID_METHOD where offender.map(FieldList.isToken) == true: 501
        default: 400
        }
    }

    /// The peer sends no more. True if that ends a message in a legal place; a body without a length ends so, and then
    /// the pause behind every message is reported.
    func finish() -> Bool { [HPE_OK, HPE_PAUSED].contains(llhttp_finish(parser)) }
}

// MARK: - Callbacks of llhttp

extension HTTPParser {
    private enum Callbacks {
        /// Filled once and never changed, so it may be shared by all threads.
        nonisolated(unsafe) static let settings: UnsafeMutablePointer<llhttp_settings_t> = {
            let settings = UnsafeMutablePointer<llhttp_settings_t>.allocate(capacity: 1)
            llhttp_settings_init(settings)
            settings.pointee.on_message_begin = { parser in HTTPParser.with(parser) { $0.began() } }
            settings.pointee.on_url = { parser, start, count in HTTPParser.with(parser) { $0.target(start, count) } }
            settings.pointee.on_header_field = { parser, start, count in
                HTTPParser.with(parser) { $0.name(start, count) }
            }
            settings.pointee.on_header_value = { parser, start, count in
                HTTPParser.with(parser) { $0.value(start, count) }
            }
            settings.pointee.on_header_value_complete = { parser in HTTPParser.with(parser) { $0.valueEnded() } }
            settings.pointee.on_headers_complete = { parser in HTTPParser.with(parser) { $0.headEnded() } }
            settings.pointee.on_chunk_extension_name = { parser, _, count in HTTPParser.with(parser) { $0.extra(count) }
            }
            settings.pointee.on_chunk_extension_value = { parser, _, count in
                HTTPParser.with(parser) { $0.extra(count) }
            }
            settings.pointee.on_body = { parser, start, count in HTTPParser.with(parser) { $0.body(start, count) } }
            settings.pointee.on_message_complete = { parser in HTTPParser.with(parser) { $0.messageEnded() } }
            return settings
        }()
    }

    /// The parser lives through every call into llhttp, so nothing is retained for the many callbacks of one.
    private static func with(_ parser: UnsafeMutablePointer<llhttp_t>?, _ body: (HTTPParser) -> CInt) -> CInt {
        guard let data = parser?.pointee.data else { return -1 }
        return Unmanaged<HTTPParser>.fromOpaque(data)._withUnsafeGuaranteedRef(body)
    }

    private func began() -> CInt {
        head = HTTPHead()
        head.bytes.reserveCapacity(512)
        head.fields.reserveCapacity(12)
        isInHead = true
        lastWasValue = false
        extra = 0
        refusal = nil
        return 0
    }

    private func refuse(_ status: Int, _ reason: String) -> CInt {
        refusal = (status, reason)
        return -1
    }

    private func append(_ start: UnsafePointer<CChar>?, _ count: Int) {
        head.bytes.append(contentsOf: UnsafeRawBufferPointer(start: start, count: count))
    }

    private func target(_ start: UnsafePointer<CChar>?, _ count: Int) -> CInt {
        guard head.targetLength + count <= limits.targetBytes else { return refuse(414, "target too long") }
        append(start, count)
        head.targetLength += count
        return 0
    }

    private func name(_ start: UnsafePointer<CChar>?, _ count: Int) -> CInt {
        guard isInHead else { return extra(count) }
        guard head.bytes.count + count <= limits.headBytes else { return refuse(431, "head too large") }
        if lastWasValue || head.fields.isEmpty {
            guard head.fields.count < limits.fields else { return refuse(431, "too many fields") }
            let start = UInt32(head.bytes.count)
            head.fields.append(.init(nameStart: start, nameLength: 0, valueStart: start, valueLength: 0))
            lastWasValue = false
        }
        append(start, count)
        head.fields[head.fields.count - 1].nameLength += UInt32(count)
        return 0
    }

    private func value(_ start: UnsafePointer<CChar>?, _ count: Int) -> CInt {
        guard isInHead else { return extra(count) }
        guard head.bytes.count + count <= limits.headBytes else { return refuse(431, "head too large") }
        beginValue()
        append(start, count)
        head.fields[head.fields.count - 1].valueLength += UInt32(count)
        return 0
    }

    /// Also called for an empty value, for which llhttp reports no span.
    private func valueEnded() -> CInt {
        guard isInHead, !head.fields.isEmpty else { return 0 }
        beginValue()
        // White space behind a value is no part of it (RFC 9112, section 5.1); llhttp leaves it there.
        let last = head.fields.count - 1
        while head.fields[last].valueLength > 0, let byte = head.bytes.last, byte == 0x20 || byte == 0x09 {
            head.bytes.removeLast()
            head.fields[last].valueLength -= 1
        }
        return 0
    }

    private func beginValue() {
        guard !lastWasValue, !head.fields.isEmpty else { return }
        head.fields[head.fields.count - 1].valueStart = UInt32(head.bytes.count)
        lastWasValue = true
    }

    /// Trailer fields and chunk extensions are dropped, but not without limit.
    private func extra(_ count: Int) -> CInt {
        extra += count
        return extra <= limits.headBytes ? 0 : refuse(431, "trailers or chunk extensions too large")
    }

    private func headEnded() -> CInt {
        isInHead = false
        unparsedHead = 0
        let flags = UInt32(parser.pointee.flags)
        head.method = llhttp_method(rawValue: UInt32(parser.pointee.method))
        head.status = Int(parser.pointee.status_code)
        head.majorVersion = Int(parser.pointee.http_major)
        head.minorVersion = Int(parser.pointee.http_minor)
        head.keepsAlive = llhttp_should_keep_alive(parser) != 0
        head.isUpgrade = parser.pointee.upgrade != 0
        head.isChunked = flags & F_CHUNKED.rawValue != 0
        head.contentLength = flags & F_CONTENT_LENGTH.rawValue != 0 ? parser.pointee.content_length : nil
        let head = head
        self.head = HTTPHead()
        switch delegate.parserReadHead(head) {
        case .proceed: return 0
        case .noBody: return 1
        case .notUpgraded:
            parser.pointee.upgrade = 0
            return 0
        case .refuse(let status, let reason): return refuse(status, reason)
        }
    }

    private func body(_ start: UnsafePointer<CChar>?, _ count: Int) -> CInt {
        switch delegate.parserReadBody(UnsafeRawBufferPointer(start: start, count: count)) {
        case .refuse(let status, let reason): refuse(status, reason)
        default: 0
        }
    }

    private func messageEnded() -> CInt {
        isInHead = true
        unparsedHead = 0
        delegate.parserReadMessage()
        return CInt(HPE_PAUSED.rawValue)
    }
}
