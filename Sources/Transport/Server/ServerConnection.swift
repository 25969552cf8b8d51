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
        var run: TaskPool.Run?
    }

    struct RequestFacts {
        let isVersion10: Bool
        var keepsAlive: Bool
        let isUpgrade: Bool
        /// The client sends its body only once it is told to.
        var awaitsContinue: Bool
        /// Set once the request can no longer be answered as it should be; the handler has a little time left.
        var isEnding = false
        /// When the progress of an ending exchange was last looked at.
        var lastLook = Uptime(nanoseconds: 0)
        var isCancelled = false
    }

    /// Which deadline a body is under.
    enum BodyClock {
        case stopped  // no body, or all of it is here
        case running  // the client owes bytes
        case held  // its handler owes a read
    }

    let stream: ByteStream
    let server: HTTPServer
    let place: ServerPlace
    let peer: HTTPPeer
    /// Made once, for every request's line in the log.
    private(set) lazy var peerName = peer.description
    /// Speaks for others, and is believed.
    let isProxy: Bool
    /// What the connection counts for; nil for a proxy and a unix socket.
    let group: ClientGroup?
    /// What the exchange counts for on a proxy's connection.
    var forwardedGroup: ClientGroup?
    var phase = Phase.idle
    var bodyBytes = 0
    var isReadingBody = false
    var bodyClock = BodyClock.stopped
    /// What came in of the body since its deadline was last set.
    var bodyProgress = 0
    /// The body of the answer under way, once it has begun.
    var writer: BodyWriter?
    var answersEvents = false
    var hasAnswered = false
    /// What came in behind the current request, from `pendingStart` on.
    var pending: [UInt8] = []
    var pendingStart = 0
    var parser: HTTPParser?
    var timer: LoopTimer?

    init(
        stream: ByteStream,
        peer: HTTPPeer,
        isProxy: Bool,
        group: ClientGroup?,
        server: HTTPServer,
        place: ServerPlace
    ) {
        self.stream = stream
        self.peer = peer
        self.isProxy = isProxy
        self.group = group
        self.server = server
        self.place = place
    }

    var loop: EventLoop { stream.loop }
    var configuration: HTTPServerConfiguration { server.configuration }

    /// - Parameter status: answers with it at once and closes.
    func start(refusing status: Int?) {
        stream.sink = self
        stream.socket.writeStallLimit = configuration.writeTimeout
        stream.socket.writeStallBytes = max(1, configuration.minimumBytes)
        if let status { return refuse(status) }
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
        case .failed(let status, let reason):
            malformed(status, reason)
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

    /// Answers without a handler and closes.
    func refuse(_ status: Int) {
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

    func report(_ fault: ClientFault, _ detail: String) {
        var peer = peer
        if case .exchange(let exchange) = phase { peer = exchange.request.peer }
        server.faults.report(fault, peer: peer, detail: detail, at: loop.now)
    }

    // MARK: The server's orders

    func drain() {
        switch phase {
        case .idle where parser?.hasStartedHead != true: closeAfterFlush()
        case .idle: return
        case .exchange(var exchange):
            exchange.facts.keepsAlive = false
            phase = .exchange(exchange)
        case .upgraded(let socket): socket.close(code: .goingAway, reason: "the server is shutting down")
        case .closing, .closed: return
        }
    }

    func abort() {
        if case .upgraded(let socket) = phase { return socket.abort() }
        stream.close(BerthError(.unavailable, "the server is shutting down", isRetryable: true))
    }
}

extension ServerConnection: ByteStreamSink {
    func streamReceived(_ bytes: UnsafeRawBufferPointer) {
        switch phase {
        case .idle: break
        case .exchange(let exchange) where exchange.facts.isEnding: return
        case .exchange where isReadingBody: break
        case .exchange: return keep(bytes)
        case .upgraded, .closing, .closed: return
        }
        let consumed = feed(bytes)
        guard consumed < bytes.count, case .exchange = phase else { return }
        keep(UnsafeRawBufferPointer(rebasing: bytes[consumed...]))
    }

    /// For after the exchange.
    private func keep(_ bytes: UnsafeRawBufferPointer) {
        pending.append(contentsOf: bytes)
        stream.pauseReading()
        let look = loop.now + configuration.farewellTimeout
        if (timer?.due).map({ $0 > look }) ?? true { timer?.set(look) }
    }

    func streamInputEnded() {
        switch phase {
        case .exchange: inputEnded()
        // What the last answer left unsent is still the client's.
        case .idle: closeAfterFlush()
        case .upgraded, .closing, .closed: return
        }
    }

    func streamClosed(_ error: BerthError?) {
        if let error, stream.isShakingHands {
            report(error.code == .protocolViolation ? .plainOnTLS : .failedHandshake, error.message)
        }
        if error?.code == .timedOut { report(.slowReader, "took less than the minimum of its answer") }
        if case .exchange(let exchange) = phase {
            exchange.body.fail(error ?? BerthError(.network, "the connection is closed"))
            exchange.run?.cancel()
        }
        ended()
    }

    func leaveForwarded() {
        if let forwardedGroup { server.counts.exit(forwardedGroup) }
        forwardedGroup = nil
    }

    /// Nothing of the connection is left; the server forgets it.
    func ended() {
        if case .upgraded = phase { server.webSockets.wrappingSubtract(1, ordering: .relaxed) }
        phase = .closed
        timer?.close()
        timer = nil
        pending = []
        writer = nil
        leaveForwarded()
        server.ended(self, at: place)
    }
}
