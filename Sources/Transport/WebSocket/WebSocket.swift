public import Base
public import EventLoop

/// An open WebSocket, server's or client's. While nobody receives, the peer has to wait; while the peer does not read,
/// ``send(text:)`` and ``send(binary:)`` wait.
///
/// `@unchecked Sendable`: state is touched only on `loop`; the public methods go there.
public final class WebSocket: @unchecked Sendable {
    private enum State {
        case open  // → closing, ended
        case closing  // our close frame is sent, the peer's is awaited → ended
        case ended(End)
    }

    /// How it ended.
    public enum End: Sendable {
        /// The peer closed, or answered our close.
        case closed(WebSocketCloseCode?, reason: String)
        /// The connection broke, went silent, or the peer broke the protocol.
        case failed(BerthError)
    }

    public let loop: EventLoop
    let stream: ByteStream
    let role: WebSocketRole
    private let configuration: WebSocketConfiguration
    let randomness: any Randomness
    private var parser: WebSocketParser
    private var state = State.open
    private var inbox: [WebSocketMessage] = []
    private var inboxStart = 0
    private var inboxBytes = 0
    private var isPaused = false
    private var receiver: Waiter<WebSocketMessage?>?
    private var endWaiters: [Waiter<End>] = []
    private var timer: LoopTimer?
    private var pingedAt: Uptime?
    /// Gets messages before ``receive()`` does; let go at the end.
    var sink: (any WebSocketSink)?
    /// The sink takes nothing more for now.
    private var isHeld = false
    /// Called once, when the connection is gone.
    var onEnd: (() -> Void)?

    init(
        stream: ByteStream,
        role: WebSocketRole,
        configuration: WebSocketConfiguration,
        randomness: any Randomness = SystemRandomness()
    ) {
        loop = stream.loop
        self.stream = stream
        self.role = role
        self.configuration = configuration
        self.randomness = randomness
        parser = WebSocketParser(role: role, maximumMessageBytes: configuration.maximumMessageBytes)
    }

    /// - Parameters:
    ///   - early: what came in together with the handshake.
    ///   - handOver: called before anything is read.
    func begin(with early: ArraySlice<UInt8>, handOver: (WebSocket) -> Void = { _ in }) {
        stream.sink = self
        timer = LoopTimer(loop: loop) { [weak self] in self?.timeHasCome() }
        if let interval = configuration.pingInterval { timer?.set(after: interval) }
        handOver(self)
        if !early.isEmpty {
            // A copy of our own: messages are unmasked where they lie.
            var early = Array(early)
            early.withUnsafeMutableBytes { streamReceived(UnsafeRawBufferPointer($0)) }
        }
        if stream.socket.hasInputEnded { return streamInputEnded() }
        if !isPaused, !isHeld { stream.resumeReading() }
    }

    /// How it ended; nil while it is open.
    public func end() async -> End? {
        try? await loop.run { if case .ended(let end) = self.state { end } else { nil } }
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

    // MARK: Receiving

    /// The next message; nil once the peer has closed in order. Throws `network`, `timedOut`, `protocolViolation` or
    /// `tooLarge` if it ended otherwise. One caller at a time.
    public func receive() async throws -> WebSocketMessage? {
        if loop.isCurrent, let message = takeMessage() { return message }
        return try await loop.suspend { waiter in self.take(waiter) }
    }

    private func takeMessage() -> WebSocketMessage? {
        guard inboxStart < inbox.count else { return nil }
        let message = inbox[inboxStart]
        inbox[inboxStart] = .text("")
        inboxStart += 1
        inboxBytes -= Self.size(message)
        if inboxStart == inbox.count {
            inbox.removeAll(keepingCapacity: inbox.capacity <= 64)
            inboxStart = 0
            if isPaused {
                isPaused = false
                if case .open = state, !isHeld { stream.resumeReading() }
            }
        }
        return message
    }

    private func take(_ waiter: Waiter<WebSocketMessage?>) {
        if let message = takeMessage() {
            // A cancelled receiver: the message stays for the next one.
            if !waiter.resume(returning: message) {
                inbox.insert(message, at: inboxStart)
                inboxBytes += Self.size(message)
            }
            return
        }
        switch state {
        case .ended(.closed): waiter.resume(returning: nil)
        case .ended(.failed(let error)): waiter.resume(throwing: error)
        case .open, .closing:
            if let receiver, receiver.isWaiting {
                waiter.resume(throwing: BerthError(.internal, "a WebSocket has one receiver at a time"))
            } else {
                receiver = waiter
            }
        }
    }

    private static func size(_ message: WebSocketMessage) -> Int {
        switch message {
        case .text(let text): text.utf8.count
        case .binary(let bytes): bytes.count
        }
    }

    private func deliver(_ message: WebSocketMessage) {
        if let sink {
            let isTaken =
                switch message {
                case .text(let text): sink.webSocketReceived(text: text)
                case .binary(let bytes): bytes.withUnsafeBytes { sink.webSocketReceived(binary: $0) }
                }
            if isTaken { return }
        }
        if inboxStart == inbox.count, let receiver {
            self.receiver = nil
            if receiver.resume(returning: message) { return }
        }
        inbox.append(message)
        inboxBytes += Self.size(message)
    }

    /// What waits for a receiver, to a sink that came later.
    func offerInbox() {
        var waiting: [WebSocketMessage] = []
        while let message = takeMessage() { waiting.append(message) }
        for message in waiting { deliver(message) }
    }

    /// The sink wants nothing for now: the peer has to wait. What is on its way still comes. On the loop.
    public func hold() {
        guard !isHeld else { return }
        isHeld = true
        if case .open = state { stream.pauseReading() }
    }

    /// Ends ``hold()``. On the loop.
    public func unhold() {
        guard isHeld else { return }
        isHeld = false
        if case .open = state, !isPaused { stream.resumeReading() }
    }

    // MARK: Sending

    /// Returns when the peer has taken enough for more; throws once the WebSocket is closing.
    public func send(text: String) async throws { try await send(.text, Array(text.utf8)) }

    /// Returns when the peer has taken enough for more; throws once the WebSocket is closing.
    public func send(binary: [UInt8]) async throws { try await send(.binary, binary) }

    private func send(_ opcode: WebSocketOpcode, _ payload: [UInt8]) async throws {
        if loop.isCurrent {
            try put(opcode, payload)
            if !stream.isCongested { return }
            try await stream.drained()
        } else {
            try await loop.suspend { waiter in
                do {
                    try self.put(opcode, payload)
                    self.stream.whenDrained(waiter)
                } catch {
                    waiter.resume(throwing: error)
                }
            }
        }
    }

    /// When any byte, also of a pong, last came from the peer. On the loop.
    public var lastReceived: Uptime { stream.socket.lastReceived }

    /// The most that one reading takes. On the loop.
    public var readSize: Int {
        get { stream.socket.readSize }
        set { stream.socket.readSize = newValue }
    }

    /// Bytes that wait for the peer. On the loop.
    public var unsentBytes: Int { stream.unsentBytes }

    /// The peer should take some before more is sent. On the loop.
    public var isCongested: Bool { stream.isCongested }

    /// Whether messages still go out.
    var isWritable: Bool { if case .open = state { stream.isOpen } else { false } }

    var endIfEnded: End? { if case .ended(let end) = state { end } else { nil } }

    func writeText(_ text: String) { write(.text, Array(text.utf8)) }

    private func put(_ opcode: WebSocketOpcode, _ payload: [UInt8]) throws(BerthError) {
        guard case .open = state, stream.isOpen else {
            throw BerthError(.network, "the WebSocket is closed", isRetryable: true)
        }
        write(opcode, payload)
    }

    private func write(_ opcode: WebSocketOpcode, _ payload: [UInt8]) {
        let mask = role == .client ? UInt32(truncatingIfNeeded: randomness.next()) : nil
        var header: [UInt8] = []
        header.reserveCapacity(14)
        WebSocketEncoder.appendHeader(opcode, length: payload.count, mask: mask, to: &header)
        stream.write(header)
        guard let mask else { return stream.write(payload) }
        var masked = payload
        masked.withUnsafeMutableBytes { WebSocketMask.apply(mask, offset: 0, to: $0) }
        stream.write(masked)
    }

    // MARK: Closing

    /// Says goodbye; the peer has `closeTimeout` to answer. Does nothing if it is closing already.
    public func close(code: WebSocketCloseCode = .normal, reason: String = "") {
        loop.execute { [self] in
            guard case .open = state else { return }
            state = .closing
            write(.close, WebSocketEncoder.closePayload(code, reason))
            timer?.set(after: configuration.closeTimeout)
            isPaused = false
            isHeld = false
            stream.resumeReading()
        }
    }

    private func finish(_ end: End) {
        if case .ended = state { return }
        state = .ended(end)
        let sink = sink
        self.sink = nil
        sink?.webSocketEnded(end)
        for waiter in endWaiters { waiter.resume(returning: end) }
        endWaiters = []
        if inboxStart == inbox.count, let receiver {
            self.receiver = nil
            switch end {
            case .closed: receiver.resume(returning: nil)
            case .failed(let error): receiver.resume(throwing: error)
            }
        }
    }

    private func timeHasCome() {
        switch state {
        case .ended: return
        case .closing:
            finish(.failed(BerthError(.timedOut, "the peer did not answer the close")))
            stream.close()
        case .open:
            guard let interval = configuration.pingInterval else { return }
            // While we do not read, silence is ours and not the peer's.
            let heard = isPaused || isHeld ? loop.now : stream.socket.lastReceived
            if let pingedAt, heard < pingedAt {
                let error = BerthError(.timedOut, "the peer did not answer a ping", isRetryable: true)
                finish(.failed(error))
                return stream.close(error)
            }
            pingedAt = nil
            if heard + interval > loop.now {
                timer?.set(heard + interval)
            } else {
                pingedAt = loop.now
                write(.ping, [])
                timer?.set(after: configuration.pongTimeout)
            }
        }
    }
}

extension WebSocket: ByteStreamSink {
    func streamReceived(_ bytes: UnsafeRawBufferPointer) {
        var input = bytes
        do {
            while true {
                while let sink, let bytes = parser.nextWhole(&input) {
                    if !sink.webSocketReceived(binary: bytes) { deliver(.binary(Array(bytes))) }
                }
                guard let event = try parser.next(&input) else { break }
                handle(event)
            }
        } catch {
            violated(error)
        }
        if inboxBytes > configuration.inboxBytes || inbox.count - inboxStart > 1024, !isPaused, case .open = state {
            isPaused = true
            stream.pauseReading()
        }
    }

    private func handle(_ event: WebSocketParser.Event) {
        switch event {
        case .text(let text): deliver(.text(text))
        case .binary(let bytes): deliver(.binary(bytes))
        case .ping(let payload):
            // A peer that pings without reading gets no more answers than it reads.
            if case .open = state, !stream.isCongested { write(.pong, payload) }
        case .pong: return
        case .close(let code, let reason):
            if case .open = state { write(.close, WebSocketEncoder.closePayload(code, "")) }
            finish(.closed(code, reason: reason))
            stream.closeAfterFlush()
        }
    }

    private func violated(_ violation: WebSocketViolation) {
        if case .open = state {
            write(.close, WebSocketEncoder.closePayload(violation.code, violation.message))
        }
        let code: ErrorCode = violation.code == .tooLarge ? .tooLarge : .protocolViolation
        finish(.failed(BerthError(code, "the peer broke the WebSocket protocol: \(violation.message)")))
        stream.closeAfterFlush()
    }

    func streamProgressed() { sink?.webSocketProgressed() }

    func streamInputEnded() {
        finish(.failed(BerthError(.network, "the peer ended the connection without a close", isRetryable: true)))
        stream.close()
    }

    func streamClosed(_ error: BerthError?) {
        finish(.failed(error ?? Socket.closedError))
        timer?.close()
        timer = nil
        let onEnd = onEnd
        self.onEnd = nil
        onEnd?()
    }
}
