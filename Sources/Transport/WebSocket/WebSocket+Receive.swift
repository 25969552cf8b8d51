public import Base
internal import EventLoop

// From the peer's bytes to who takes the messages.
extension WebSocket {
    /// The next message; nil once the peer has closed in order. Throws `network`, `timedOut`, `protocolViolation` or
    /// `tooLarge` if it ended otherwise. One caller at a time.
    public func receive() async throws -> WebSocketMessage? {
        if loop.isCurrent, let message = takeMessage() { return message }
        return try await loop.suspend { waiter in self.take(waiter) }
    }

    /// The messages that wait to be received, or the first of them where they are many or large. On the loop.
    public func takeQueued() -> [WebSocketMessage] {
        loop.preconditionCurrent()
        var messages: [WebSocketMessage] = []
        var bytes = 0
        while bytes < Self.waitingBytes, messages.count < Self.waitingMessages, let next = takeMessage() {
            bytes += next.byteCount
            messages.append(next)
        }
        return messages
    }

    /// Whether ``takeQueued()`` has one. On the loop.
    public var hasQueued: Bool { !inbox.isEmpty }

    private static let waitingBytes = 64 << 10
    private static let waitingMessages = 128

    /// When any byte, also of a pong, last came from the peer. On the loop.
    public var lastReceived: Uptime { stream.socket.lastReceived }

    /// When the last ping that the peer has answered was sent: whatever was sent before it has reached the peer. nil before
    /// the first answer. On the loop.
    public var lastConfirmed: Uptime? { confirmedAt }

    /// A ping carries the moment at which it was sent, and its answer the same bytes (RFC 6455, section 5.5.3).
    static func payload(_ moment: Uptime) -> [UInt8] { withUnsafeBytes(of: moment.nanoseconds.bigEndian, Array.init) }

    private static func moment(_ payload: [UInt8]) -> Uptime? {
        guard payload.count == 8 else { return nil }
        return Uptime(nanoseconds: payload.reduce(0) { $0 << 8 | UInt64($1) })
    }

    /// Reads as much at a time as the loop's buffer holds. On the loop.
    public func readInBulk() { stream.socket.readSize = EventLoop.readBufferSize }

    private func takeMessage() -> WebSocketMessage? {
        guard let message = inbox.takeFirst() else { return nil }
        if inbox.isEmpty, isPaused, !isHeld { readOn() }
        return message
    }

    private func take(_ waiter: Waiter<WebSocketMessage?>) {
        if let message = takeMessage() {
            // A cancelled receiver: the message stays for the next one.
            if !waiter.resume(returning: message) { inbox.putBack(message) }
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

    private func deliver(_ message: WebSocketMessage) {
        guard case .open = state else { return }
        if let sink {
            let isTaken =
                switch message {
                case .text(let text): sink.webSocketReceived(text: text)
                case .binary(let bytes): bytes.withUnsafeBytes { sink.webSocketReceived(binary: $0) }
                }
            if isTaken { return }
        }
        if inbox.isEmpty, let receiver {
            self.receiver = nil
            if receiver.resume(returning: message) { return }
        }
        inbox.append(message)
        sink?.webSocketQueued()
    }

    /// What waits for a receiver, to a sink that came later.
    func offerInbox() {
        var waiting: [WebSocketMessage] = []
        while let message = inbox.takeFirst() { waiting.append(message) }
        for message in waiting { deliver(message) }
        if isPaused, !mustPause { readOn() }
    }

    /// The sink wants nothing for now: the peer has to wait. On the loop.
    public func hold() {
        guard !isHeld, case .open = state else { return }
        isHeld = true
        isPaused = true
        stream.pauseReading()
    }

    /// Ends ``hold()``. On the loop.
    public func unhold() {
        guard isHeld else { return }
        isHeld = false
        if !mustPause { readOn() }
    }

    private func handle(_ event: WebSocketParser.Event) {
        switch event {
        case .text(let text): deliver(.text(text))
        case .binary(let bytes):
            flow.took(bytes.count, at: loop.now)
            deliver(.binary(bytes))
        case .ping(let payload): answer(ping: payload)
        case .pong(let payload): if let sentAt = Self.moment(payload), sentAt <= loop.now { confirmedAt = sentAt }
        case .close(let code, let reason): closed(code, reason: reason)
        }
    }

    private var mustPause: Bool {
        if case .open = state { inbox.isFull || isHeld } else { false }
    }

    /// The inbox has room again, or what comes is no longer wanted.
    func readOn() {
        isPaused = false
        var waiting = backlog
        backlog = []
        if !waiting.isEmpty { waiting.withUnsafeMutableBytes { streamReceived(UnsafeRawBufferPointer($0)) } }
        guard !isPaused else { return }
        if endsBehindBacklog { return streamInputEnded() }
        stream.resumeReading()
    }
}

extension WebSocket: ByteStreamSink {
    func streamReceived(_ bytes: UnsafeRawBufferPointer) {
        guard !isPaused else { return backlog.append(contentsOf: bytes) }
        var input = bytes
        do {
            // A few compressed bytes can be a large message, so the limit counts within one reading too.
            while !mustPause {
                if let sink, let bytes = parser.nextWhole(&input) {
                    flow.took(bytes.count, at: loop.now)
                    guard case .open = state, !sink.webSocketReceived(binary: bytes) else { continue }
                    deliver(.binary(Array(bytes)))
                } else if let event = try parser.next(&input) {
                    handle(event)
                } else {
                    break
                }
            }
        } catch {
            violated(error)
        }
        guard mustPause else {
            // What is heard of a frame before its end goes nowhere.
            if sink != nil { stream.expect(flow.expected(missing: parser.missing)) }
            return
        }
        isPaused = true
        backlog.append(contentsOf: input)
        stream.pauseReading()
    }

    func streamInputEnded() {
        if isPaused {
            endsBehindBacklog = true
            return
        }
        finish(.failed(BerthError(.network, "the peer ended the connection without a close", isRetryable: true)))
        leave()
    }

    func streamProgressed() {
        answerWaitingPing()
        sink?.webSocketProgressed()
    }
}
