public import Base
public import EventLoop

/// An open WebSocket, server's or client's. While nobody receives, the peer has to wait; what happens while the peer
/// does not read is up to ``WebSocketConfiguration/slowPeer``.
///
/// `@unchecked Sendable`: state is touched only on `loop`; the public methods go there.
public final class WebSocket: @unchecked Sendable {
    enum State {
        case open  // → closing, ended
        case closing  // our close frame is sent, the peer's is awaited → ended
        case ended(End)  // the connection may still be there, for what the peer has not taken yet
    }

    /// How it ended.
    public enum End: Sendable {
        /// The peer closed, or answered our close; without a code it gave none (1005).
        case closed(WebSocketCloseCode?, reason: String)
        /// The connection broke, went silent, or the peer broke the protocol (1006).
        case failed(BerthError)
    }

    public let loop: EventLoop
    /// As agreed in the handshake.
    public let subprotocol: String?
    let agreement: DeflateAgreement?
    let stream: ByteStream
    let role: WebSocketRole
    let configuration: WebSocketConfiguration
    let randomness: any Randomness
    let deflater: MessageDeflater?
    private(set) var state = State.open
    private var timer: LoopTimer?
    private var liveness: WebSocketLiveness?
    var confirmedAt: Uptime?
    private var endWaiters: [Waiter<End>] = []
    /// What the peer had not taken at the last look, once it has to take all of it before a time is over.
    private var undelivered = 0
    /// Our side of the connection is shut, or will be when the peer has taken the rest.
    private var hasLeft = false
    // Receiving.
    var parser: WebSocketParser
    var inbox: WebSocketInbox
    /// Bytes that came in after the inbox was full.
    var backlog: [UInt8] = []
    /// Nothing is read: the inbox is full, or the sink holds.
    var isPaused = false
    var isHeld = false
    /// The peer sends no more, but the backlog has yet to be read.
    var endsBehindBacklog = false
    var receiver: Waiter<WebSocketMessage?>?
    /// Gets messages before ``receive()`` does; let go at the end.
    var sink: (any WebSocketSink)?
    var flow = MessageFlow()
    // Sending.
    /// The newest ping that is answered when the peer has taken what waits for it.
    var unansweredPing: [UInt8]?
    var slowTimer: LoopTimer?
    /// Called when the peer is cut off for what it did.
    var onFault: ((ClientFault, _ detail: String) -> Void)?
    /// Called once, when the connection is gone.
    var onEnd: (() -> Void)?

    init(
        stream: ByteStream,
        role: WebSocketRole,
        configuration: WebSocketConfiguration,
        agreed: WebSocketHandshake.Agreement = .init(),
        pool: CompressionPool = CompressionPool(),
        randomness: any Randomness = SystemRandomness()
    ) {
        loop = stream.loop
        subprotocol = agreed.subprotocol
        agreement = agreed.deflate
        self.stream = stream
        self.role = role
        self.configuration = configuration
        self.randomness = randomness
        inbox = WebSocketInbox(limit: configuration.inboxBytes)
        liveness = configuration.pingInterval.map {
            WebSocketLiveness(
                interval: $0,
                timeout: configuration.pongTimeout,
                isRegular: configuration.pingsRegularly
            )
        }
        deflater = agreed.deflate.map {
            MessageDeflater($0.outgoing, wishes: configuration.compression ?? WebSocketCompression(), pool: pool)
        }
        parser = WebSocketParser(
            role: role,
            limits: WebSocketParser.Limits(
                messageBytes: configuration.maximumMessageBytes,
                frameBytes: configuration.maximumFrameBytes ?? Int.max,
                fragments: configuration.maximumFragments
            ),
            inflater: agreed.deflate.map { MessageInflater($0.incoming, pool: pool) }
        )
    }

    /// - Parameters:
    ///   - early: what came in together with the handshake.
    ///   - handOver: called before anything is read.
    func begin(with early: ArraySlice<UInt8>, handOver: (WebSocket) -> Void = { _ in }) {
        stream.sink = self
        stream.socket.writeStallLimit = configuration.writeStallLimit
        // A viewer may take its time as long as it takes anything.
        stream.socket.writeStallBytes = 1
        timer = LoopTimer(loop: loop) { [weak self] in self?.timeHasCome() }
        if let interval = configuration.pingInterval { timer?.set(after: interval) }
        handOver(self)
        if !early.isEmpty {
            // A copy of our own: messages are unmasked where they lie.
            var early = Array(early)
            early.withUnsafeMutableBytes { streamReceived(UnsafeRawBufferPointer($0)) }
        }
        if stream.socket.hasInputEnded { return streamInputEnded() }
        if !isPaused { stream.resumeReading() }
    }

    // MARK: The end

    /// How it ended; nil while it is open.
    public func end() async -> End? {
        try? await loop.run { self.endIfEnded }
    }

    /// Returns when it has ended; throws `CancellationError` when the task is cancelled first.
    public func ended() async throws -> End {
        try await loop.suspend { waiter in
            if case .ended(let end) = self.state {
                waiter.resume(returning: end)
            } else {
                self.endWaiters.removeAll { !$0.isWaiting }
                self.endWaiters.append(waiter)
            }
        }
    }

    var endIfEnded: End? { if case .ended(let end) = state { end } else { nil } }

    /// Says goodbye; the peer has `closeTimeout` to answer, or to take some of what it has not been able to read yet, and what it still sends until then is dropped. Does nothing
    /// if it is closing already. A `code` of nil says nothing; one that has no place on the wire is sent as 1011; of
    /// `reason` as many characters are sent as fit into 123 bytes.
    public func close(code: WebSocketCloseCode? = .normal, reason: String = "") {
        loop.execute { [self] in
            guard case .open = state else { return }
            state = .closing
            write(.close, WebSocketEncoder.closePayload(code, reason))
            waitForPeer()
            isHeld = false
            readOn()
        }
    }

    /// The peer's close frame, whether it asks or answers.
    func closed(_ code: WebSocketCloseCode?, reason: String) {
        if case .open = state { write(.close, WebSocketEncoder.closePayload(code, "")) }
        finish(.closed(code, reason: reason))
        switch role {
        case .server: leave()
        // It is the server that ends the connection (RFC 6455, section 7.1.1), so that the client's port is free at once.
        case .client: waitForPeer()
        }
    }

    /// Nothing more is said: what waits goes out as long as the peer takes it, then the connection ends.
    func leave() {
        hasLeft = true
        stream.closeAfterFlush()
        waitForPeer()
    }

    private func waitForPeer() {
        undelivered = stream.undeliveredBytes
        timer?.set(after: configuration.closeTimeout)
    }

    func violated(_ violation: WebSocketViolation) {
        if case .open = state {
            write(.close, WebSocketEncoder.closePayload(violation.code, violation.message))
        }
        fault(.webSocketViolation, "\(violation.code.rawValue): \(violation.message)")
        let code: ErrorCode = violation.code == .tooLarge ? .tooLarge : .protocolViolation
        finish(.failed(BerthError(code, "the peer broke the WebSocket protocol: \(violation.message)")))
        leave()
    }

    /// Ends it without a word: the peer is not there to read one.
    func cut(_ fault: ClientFault, _ error: BerthError) {
        self.fault(fault, error.message)
        finish(.failed(error))
        stream.close(error)
    }

    private func fault(_ fault: ClientFault, _ detail: String) {
        if case .ended = state { return }
        onFault?(fault, detail)
    }

    func finish(_ end: End) {
        if case .ended = state { return }
        state = .ended(end)
        backlog = []
        unansweredPing = nil
        let sink = sink
        self.sink = nil
        sink?.webSocketEnded(end)
        for waiter in endWaiters { waiter.resume(returning: end) }
        endWaiters = []
        if inbox.isEmpty, let receiver {
            self.receiver = nil
            switch end {
            case .closed: receiver.resume(returning: nil)
            case .failed(let error): receiver.resume(throwing: error)
            }
        }
    }

    func streamClosed(_ error: BerthError?) {
        if let error, error.code == .timedOut { fault(.webSocketSlowReader, error.message) }
        finish(.failed(error ?? Socket.closedError))
        onFault = nil
        timer?.close()
        timer = nil
        slowTimer?.close()
        slowTimer = nil
        let onEnd = onEnd
        self.onEnd = nil
        onEnd?()
    }

    // MARK: Time

    private func timeHasCome() {
        switch state {
        case .closing, .ended:
            // A slow peer has not come to our close yet.
            if stream.undeliveredBytes < undelivered { return waitForPeer() }
            if case .closing = state {
                cut(.webSocketSilence, BerthError(.timedOut, "the peer did not answer the close"))
            } else if hasLeft {
                stream.close()
            } else {
                leave()
            }
        case .open:
            let sight = WebSocketLiveness.Sight(
                now: loop.now,
                heard: stream.socket.lastReceived,
                isReading: !isPaused,
                isBlocked: stream.isBlocked
            )
            switch liveness?.step(sight) {
            case .wait(let next): timer?.set(next)
            case .ping(let next):
                write(.ping, Self.payload(loop.now))
                timer?.set(next)
            case .giveUp:
                cut(
                    .webSocketSilence,
                    BerthError(.timedOut, "the peer did not answer a ping", isRetryable: true)
                )
            case nil: return
            }
        }
    }
}
