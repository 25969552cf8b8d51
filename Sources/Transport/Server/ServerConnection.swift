internal import Base
internal import CLLHTTP
internal import EventLoop

/// One connection of a server: reads requests one after the other, has a task answer each, and starts the next only
/// when the answer is written.
///
/// `@unchecked Sendable`: touched only on its loop, where its tasks run too.
final class ServerConnection: @unchecked Sendable {
    /// Where the connection stands.
    enum Phase {
        case idle  // waits for a request or reads its head → exchange, closing
        case exchange(Exchange)  // a handler has the request → idle, upgraded, closing
        case upgraded(WebSocket)  // → closed
        case closing  // the last answer is on its way out → closed
        case closed
    }

    /// One request and its answer.
    struct Exchange {
        let request: HTTPRequest
        let body: BodyBuffer
        var facts: RequestFacts
        var task: LoopTask?
    }

    struct RequestFacts {
        let isVersion10: Bool
        var keepsAlive: Bool
        let isUpgrade: Bool
        var awaitsContinue: Bool
    }

    let stream: ByteStream
    let server: HTTPServer
    private let place: ServerPlace
    private let peer: HTTPPeer
    private(set) var phase = Phase.idle
    private var bodyBytes = 0
    private var isReadingBody = false
    /// What came in behind the current request, from `pendingStart` on.
    private var pending: [UInt8] = []
    private var pendingStart = 0
    private var parser: HTTPParser?
    private var timer: LoopTimer?

    init(stream: ByteStream, peer: HTTPPeer, server: HTTPServer, place: ServerPlace) {
        self.stream = stream
        self.peer = peer
        self.server = server
        self.place = place
    }

    private var loop: EventLoop { stream.loop }
    private var configuration: HTTPServerConfiguration { server.configuration }

    func start(isOverLimit: Bool) {
        stream.sink = self
        stream.socket.writeStallLimit = configuration.writeTimeout
        if isOverLimit { return refuse(503) }
        timer = LoopTimer(loop: loop) { [unowned self] in deadlinePassed() }
        let limits = HTTPParser.Limits(
            headBytes: configuration.maximumHeadBytes,
            targetBytes: configuration.maximumTargetBytes,
            fields: configuration.maximumFields
        )
        parser = HTTPParser(.request, limits: limits, delegate: self)
        timer?.set(after: configuration.headTimeout)
        stream.resumeReading()
    }

    // MARK: Bytes in

    private func feed(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let parser else { return bytes.count }
        switch parser.execute(bytes) {
        case .needsMore:
            if case .idle = phase, parser.hasStartedHead, !isHeadTimed {
                isHeadTimed = true
                timer?.set(after: configuration.headTimeout)
            }
            return bytes.count
        case .messageEnded(let consumed): return consumed
        case .failed(let status, _):
            malformed(status)
            return bytes.count
        }
    }

    private var isHeadTimed = false

    /// Feeds what waits behind the last request, until the next request is complete.
    private func feedPending() {
        guard pendingStart < pending.count else { return }
        let bytes = pending
        let start = pendingStart
        let consumed = bytes.withUnsafeBytes { feed(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        pendingStart = start + consumed
        if pendingStart >= pending.count {
            pending = []
            pendingStart = 0
        }
    }

    private func malformed(_ status: Int) {
        switch phase {
        case .idle: refuse(status)
        case .exchange(var exchange):
            // The rest of the body is unusable; the handler hears of it and the connection ends with its answer.
            let code: ErrorCode = status == 413 ? .tooLarge : .protocolViolation
            let what =
                status == 413 ? "is longer than \(configuration.maximumBodyBytes) bytes" : "is not what HTTP allows"
            exchange.body.fail(BerthError(code, "the request's body \(what)"))
            exchange.facts.keepsAlive = false
            phase = .exchange(exchange)
            stream.pauseReading()
        default: stream.close()
        }
    }

    /// Answers without a handler and closes.
    private func refuse(_ status: Int) {
        let framing = ResponseFraming(length: .known(0), keepsAlive: false, isVersion10: false)
        let response = HTTPResponse(status: status)
        ResponseHead.write(response, framing: framing, date: place.currentDate(), to: stream)
        closeAfterFlush()
    }

    private func closeAfterFlush() {
        phase = .closing
        timer?.set(nil)
        stream.closeAfterFlush()
    }

    // MARK: Deadlines

    private func deadlinePassed() {
        switch phase {
        case .idle:
            if parser?.hasStartedHead == true { refuse(408) } else { stream.close() }
        case .exchange(var exchange) where isReadingBody:
            exchange.body.fail(
                BerthError(.timedOut, "the request's body stopped for \(configuration.bodyTimeout)")
            )
            exchange.facts.keepsAlive = false
            phase = .exchange(exchange)
            stream.pauseReading()
        default: return
        }
    }

    // MARK: The server's orders

    func drain() {
        switch phase {
        case .idle where parser?.hasStartedHead != true: stream.close()
        case .idle: return
        case .exchange(var exchange):
            exchange.facts.keepsAlive = false
            phase = .exchange(exchange)
        case .upgraded(let socket): socket.close(code: .goingAway, reason: "the server is shutting down")
        case .closing, .closed: return
        }
    }

    func abort() { stream.close(BerthError(.unavailable, "the server is shutting down", isRetryable: true)) }
}

extension ServerConnection: ByteStreamSink {
    func streamReceived(_ bytes: UnsafeRawBufferPointer) {
        switch phase {
        case .idle: break
        case .exchange where isReadingBody: break
        case .exchange:
            pending.append(contentsOf: bytes)
            return stream.pauseReading()
        case .upgraded, .closing, .closed: return
        }
        let consumed = feed(bytes)
        guard consumed < bytes.count, case .exchange = phase else { return }
        pending.append(contentsOf: bytes[consumed...])
        stream.pauseReading()
    }

    func streamInputEnded() {
        switch phase {
        case .exchange(var exchange):
            // Its client is gone or has shut its side: the handler is told, an answer it still gives is sent.
            exchange.facts.keepsAlive = false
            phase = .exchange(exchange)
            exchange.body.fail(BerthError(.network, "the client closed the connection"))
            exchange.task?.cancel()
        case .closing: return
        default: stream.close()
        }
    }

    func streamClosed(_ error: BerthError?) {
        if case .exchange(let exchange) = phase {
            exchange.body.fail(error ?? BerthError(.network, "the connection is closed"))
            exchange.task?.cancel()
        }
        ended()
    }

    /// Nothing of the connection is left; the server forgets it.
    private func ended() {
        phase = .closed
        timer?.close()
        timer = nil
        pending = []
        server.ended(self, at: place)
    }
}

extension ServerConnection: HTTPParserDelegate {
    func parserReadHead(_ head: HTTPHead) -> HTTPParser.Verdict {
        isHeadTimed = false
        let headers = head.headers
        if let status = RequestRules.refusal(
            head,
            headers: headers,
            maximumBodyBytes: configuration.maximumBodyBytes
        ) {
            return .refuse(status: status)
        }
        let text = String(decoding: head.bytes[..<head.targetLength], as: UTF8.self)
        guard let method = RequestRules.method(head.method),
            let (path, query) = RequestRules.target(text, method: method)
        else { return .refuse(status: 400) }
        let body = BodyBuffer(loop: loop)
        body.onDemand { [unowned self] in bodyWanted() }
        let request = HTTPRequest(
            id: server.ids.make(),
            method: method,
            path: path,
            rawQuery: query,
            headers: headers,
            body: IncomingBody(body),
            peer: peer,
            isSecure: stream.isSecure,
            loop: loop
        )
        let isUpgrade = head.isUpgrade && request.asksForWebSocket
        var exchange = Exchange(
            request: request,
            body: body,
            facts: RequestFacts(
                isVersion10: head.minorVersion == 0,
                keepsAlive: head.keepsAlive && !place.isDraining,
                isUpgrade: isUpgrade,
                awaitsContinue: headers.contains("expect")
            )
        )
        bodyBytes = 0
        isReadingBody = true
        timer?.set(after: configuration.bodyTimeout)
        exchange.task = loop.spawn { [self] in await answer(request) }
        phase = .exchange(exchange)
        return head.isUpgrade && !isUpgrade ? .notUpgraded : .proceed
    }

    func parserReadBody(_ bytes: UnsafeRawBufferPointer) -> HTTPParser.Verdict {
        guard case .exchange(var exchange) = phase else { return .refuse(status: 400) }
        bodyBytes += bytes.count
        guard bodyBytes <= configuration.maximumBodyBytes else { return .refuse(status: 413) }
        if exchange.facts.awaitsContinue {
            exchange.facts.awaitsContinue = false
            phase = .exchange(exchange)
        }
        let body = exchange.body
        body.append(bytes)
        if body.isFull {
            stream.pauseReading()
            timer?.set(nil)
        } else {
            timer?.set(after: configuration.bodyTimeout)
        }
        return .proceed
    }

    func parserReadMessage() {
        isReadingBody = false
        timer?.set(nil)
        if case .exchange(let exchange) = phase { exchange.body.finish() }
    }

    /// A reader has taken everything that came in.
    private func bodyWanted() {
        guard case .exchange(var exchange) = phase, isReadingBody else { return }
        if exchange.facts.awaitsContinue {
            exchange.facts.awaitsContinue = false
            phase = .exchange(exchange)
            stream.write("HTTP/1.1 100 Continue\r\n\r\n")
        }
        timer?.set(after: configuration.bodyTimeout)
        stream.resumeReading()
    }
}

// MARK: - Answers

extension ServerConnection {
    private func answer(_ request: HTTPRequest) async {
        let response: HTTPResponse
        do {
            response = try await server.handler(request)
        } catch {
            let known = BerthError(wrapping: error)
            if known.code == .internal {
                server.log.error(
                    "request failed",
                    ["request_id": request.id, "error": known.message, "detail": known.detail ?? ""]
                )
            }
            response = configuration.renderError(known)
        }
        do {
            try await send(response, to: request)
        } catch {
            stream.close(BerthError(wrapping: error))
        }
    }

    private func send(_ response: HTTPResponse, to request: HTTPRequest) async throws {
        guard case .exchange(let exchange) = phase else { return }
        switch response.body {
        case .bytes(let bytes):
            writeHead(response, exchange, length: bytes.count)
            if request.method != .head, Self.mayHaveBody(response.status) { stream.write(bytes) }
        case .stream(let length, let produce):
            let writer = writeHead(response, exchange, length: length)
            if request.method != .head { try await produce(writer) }
            try writer.finish()
        case .events(let produce):
            try await sendEvents(response, exchange, produce)
        case .webSocket(let subprotocol, let run):
            return try await upgrade(response, exchange, subprotocol: subprotocol, run)
        }
        if stream.isCongested { try await stream.drained() }
        finishExchange()
    }

    private static func mayHaveBody(_ status: Int) -> Bool { status >= 200 && status != 204 && status != 304 }

    @discardableResult
    private func writeHead(_ response: HTTPResponse, _ exchange: Exchange, length: Int?) -> BodyWriter {
        var exchange = exchange
        // The rest of a body that nobody wanted is not read: the connection ends instead.
        if isReadingBody || exchange.facts.isUpgrade || stream.socket.hasInputEnded {
            exchange.facts.keepsAlive = false
        }
        let isHead = exchange.request.method == .head
        let framing: (ResponseFraming.Length, BodyWriter.Framing)
        if !Self.mayHaveBody(response.status) {
            framing = (.none, .none)
        } else if let length {
            framing = (.known(length), isHead ? .none : .length(remaining: length))
        } else if isHead {
            framing = (.none, .none)
        } else if exchange.facts.isVersion10 {
            exchange.facts.keepsAlive = false
            framing = (.untilClose, .untilClose)
        } else {
            framing = (.chunked, .chunked)
        }
        phase = .exchange(exchange)
        ResponseHead.write(
            response,
            framing: ResponseFraming(
                length: framing.0,
                keepsAlive: exchange.facts.keepsAlive,
                isVersion10: exchange.facts.isVersion10
            ),
            date: place.currentDate(),
            to: stream
        )
        return BodyWriter(stream: stream, framing: framing.1)
    }

    private func sendEvents(
        _ response: HTTPResponse,
        _ exchange: Exchange,
        _ produce: @Sendable (EventWriter) async throws -> Void
    ) async throws {
        var response = response
        response.headers.set("content-type", "text/event-stream")
        if !response.headers.contains("cache-control") { response.headers.add("cache-control", "no-store") }
        let writer = writeHead(response, exchange, length: nil)
        if exchange.request.method == .head { return }
        let quiet = configuration.eventKeepAlive
        let stream = stream
        var keepAlive: LoopTimer?
        keepAlive = LoopTimer(loop: loop) {
            let next = writer.lastWrite + quiet
            if next <= stream.loop.now, !stream.isCongested { try? writer.put([0x3A, 0x0A, 0x0A]) }
            keepAlive?.set(max(next, stream.loop.now + .milliseconds(100)))
        }
        keepAlive?.set(after: quiet)
        defer { keepAlive?.close() }
        try await produce(EventWriter(body: writer))
        try writer.finish()
    }

    private func finishExchange() {
        guard case .exchange(let exchange) = phase else { return }
        guard exchange.facts.keepsAlive, !isReadingBody, stream.isOpen else {
            exchange.body.fail(BerthError(.network, "the request has been answered"))
            return closeAfterFlush()
        }
        phase = .idle
        timer?.set(after: configuration.idleTimeout)
        parser?.resume()
        feedPending()
        if pending.isEmpty { stream.resumeReading() }
    }

    private func upgrade(
        _ response: HTTPResponse,
        _ exchange: Exchange,
        subprotocol: String?,
        _ run: @Sendable (WebSocket) async throws -> Void
    ) async throws {
        guard exchange.facts.isUpgrade, let key = WebSocketHandshake.key(of: exchange.request), !isReadingBody else {
            var refusal = HTTPResponse.text("this address speaks WebSocket version 13 only\n", status: 426)
            refusal.headers.add("upgrade", "websocket")
            refusal.headers.add("sec-websocket-version", "13")
            return try await send(refusal, to: exchange.request)
        }
        stream.write(WebSocketHandshake.acceptance(key: key, subprotocol: subprotocol, headers: response.headers))
        let socket = WebSocket(stream: stream, role: .server, configuration: configuration.webSocket)
        socket.onEnd = { [self] in ended() }
        phase = .upgraded(socket)
        timer?.close()
        timer = nil
        parser = nil
        let early = pending
        pending = []
        socket.begin(with: early[pendingStart...])
        do {
            try await run(socket)
            socket.close(code: .normal)
        } catch {
            let known = BerthError(wrapping: error)
            if known.code == .internal {
                server.log.error("websocket failed", ["request_id": exchange.request.id, "error": known.message])
            }
            socket.close(code: .internalError)
        }
    }
}
