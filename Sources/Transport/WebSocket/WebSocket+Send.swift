internal import Base
internal import EventLoop

// From a message to the peer.
extension WebSocket {
    /// Unsent bytes above which a sender waits, with ``SlowPeerPolicy/wait``.
    public static var sendWindow: Int { Socket.highWater }

    /// Returns when more may be sent, which is up to ``WebSocketConfiguration/slowPeer``: false if the message was
    /// dropped. Throws once the WebSocket is closing, and then the peer gets nothing of the message.
    @discardableResult
    public func send(text: String) async throws -> Bool { try await send(.text, Array(text.utf8)) }

    /// As ``send(text:)``.
    @discardableResult
    public func send(binary: [UInt8]) async throws -> Bool { try await send(.binary, binary) }

    /// Bytes that wait for the peer. On the loop.
    public var unsentBytes: Int { stream.unsentBytes }

    /// The peer should take some before more is sent. On the loop.
    public var isCongested: Bool { stream.isCongested }

    /// Whether messages still go out.
    var isWritable: Bool { if case .open = state { stream.isOpen } else { false } }

    func writeText(_ text: String) { writeMessage(.text, Array(text.utf8)) }

    private func send(_ opcode: WebSocketOpcode, _ payload: [UInt8]) async throws -> Bool {
        guard configuration.slowPeer == .wait else {
            return try await loop.run { try self.put(opcode, payload) }
        }
        let isCongested: Bool
        if loop.isCurrent {
            try put(opcode, payload)
            isCongested = stream.isCongested
        } else {
            isCongested = try await loop.run {
                try self.put(opcode, payload)
                return self.stream.isCongested
            }
        }
        guard isCongested else { return true }
        do {
            try await stream.drained()
        } catch  where error is BerthError {
            // The message was handed over, and the peer may have it: the next one is told that the connection has ended.
        }
        return true
    }

    @discardableResult
    private func put(_ opcode: WebSocketOpcode, _ payload: [UInt8]) throws(BerthError) -> Bool {
        guard isWritable else {
            throw BerthError(.network, "the WebSocket is closed", isRetryable: true)
        }
        switch configuration.slowPeer {
        case .wait: break
        case .drop(let limit): if isBehind(by: limit) { return false }
        case .disconnect(let limit, let time):
            if isBehind(by: limit) {
                cut(.webSocketSlowReader, Self.tooSlow)
                throw Self.tooSlow
            }
            watchSlowPeer(time)
        }
        writeMessage(opcode, payload)
        return true
    }

    // MARK: Slow peers

    /// What was written in this turn of the loop has not been offered to the peer yet, so that comes first.
    private func isBehind(by limit: Int) -> Bool {
        if stream.unsentBytes > limit, !stream.isBlocked { stream.flushNow() }
        return stream.unsentBytes > limit
    }

    private func watchSlowPeer(_ time: Duration) {
        if slowTimer == nil { slowTimer = LoopTimer(loop: loop) { [weak self] in self?.slowTimeHasCome(time) } }
        if slowTimer?.due == nil { slowTimer?.set(after: time) }
    }

    private func slowTimeHasCome(_ time: Duration) {
        guard case .open = state, let since = stream.blockedSince else { return }
        if since + time <= loop.now { cut(.webSocketSlowReader, Self.tooSlow) } else { slowTimer?.set(since + time) }
    }

    private static var tooSlow: BerthError {
        BerthError(.timedOut, "the peer takes messages too slowly", isRetryable: true)
    }

    // MARK: Pongs

    /// Unsent bytes above which only the newest ping will be answered, as section 5.5.3 allows: a peer that pings without
    /// reading costs no memory.
    private static let pongWindow = 16 * 1024

    func answer(ping payload: [UInt8]) {
        guard case .open = state else { return }
        if stream.isBlocked, stream.unsentBytes > Self.pongWindow {
            unansweredPing = payload
        } else {
            write(.pong, payload)
        }
    }

    func answerWaitingPing() {
        guard let payload = unansweredPing, stream.unsentBytes <= Self.pongWindow, case .open = state else { return }
        unansweredPing = nil
        write(.pong, payload)
    }

    // MARK: Frames

    private func writeMessage(_ opcode: WebSocketOpcode, _ message: [UInt8]) {
        let packed = deflater?.compress(message, isText: opcode == .text)
        let isCompressed = packed != nil
        let payload = packed ?? message
        guard let size = configuration.fragmentBytes, payload.count > size, size > 0 else {
            return write(opcode, payload, isCompressed: isCompressed)
        }
        for start in stride(from: 0, to: payload.count, by: size) {
            let end = min(start + size, payload.count)
            write(
                start == 0 ? opcode : .continuation,
                Array(payload[start..<end]),
                isFinal: end == payload.count,
                isCompressed: isCompressed && start == 0
            )
        }
    }

    func write(_ opcode: WebSocketOpcode, _ payload: [UInt8], isFinal: Bool = true, isCompressed: Bool = false) {
        let mask = role == .client ? UInt32(truncatingIfNeeded: randomness.next()) : nil
        var header: [UInt8] = []
        header.reserveCapacity(14)
        WebSocketEncoder.appendHeader(
            opcode,
            length: payload.count,
            mask: mask,
            isFinal: isFinal,
            isCompressed: isCompressed,
            to: &header
        )
        stream.write(header)
        guard let mask else { return stream.write(payload) }
        var masked = payload
        masked.withUnsafeMutableBytes { WebSocketMask.apply(mask, offset: 0, to: $0) }
        stream.write(masked)
    }
}
