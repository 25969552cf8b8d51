internal import Base
internal import CLLHTTP
internal import EventLoop
internal import Synchronization

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
        var bodyTimedOut = false
    }

    let stream: ByteStream
    let server: HTTPServer
    let place: ServerPlace
    let peer: HTTPPeer
    var phase = Phase.idle
    var bodyBytes = 0
    var isReadingBody = false
    /// What came in behind the current request, from `pendingStart` on.
    var pending: [UInt8] = []
    var pendingStart = 0
    var parser: HTTPParser?
    var timer: LoopTimer?

    init(stream: ByteStream, peer: HTTPPeer, server: HTTPServer, place: ServerPlace) {
        self.stream = stream
        self.peer = peer
        self.server = server
        self.place = place
    }

    var loop: EventLoop { stream.loop }
    var configuration: HTTPServerConfiguration { server.configuration }

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

    var isHeadTimed = false

    /// Feeds what waits behind the last request, until the next request is complete.
    func feedPending() {
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
            let code: ErrorCode = status == 413 ? .tooLarge : .invalidRequest
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

    func closeAfterFlush() {
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
            exchange.facts.bodyTimedOut = true
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
    func ended() {
        if case .upgraded = phase { server.webSockets.wrappingSubtract(1, ordering: .relaxed) }
        phase = .closed
        timer?.close()
        timer = nil
        pending = []
        server.ended(self, at: place)
    }
}
