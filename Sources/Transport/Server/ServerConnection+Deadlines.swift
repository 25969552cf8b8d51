internal import Base
internal import EventLoop

// What becomes of a request that its client does not finish as it should. One timer serves every phase.
extension ServerConnection {
    func deadlinePassed() {
        switch phase {
        case .idle where stream.isShakingHands:
            report(.slowHandshake, "no end of the TLS handshake after \(configuration.headTimeout)")
            stream.close()
        case .idle where parser?.hasStartedHead == true:
            report(.slowHead, "no end of the head after \(configuration.headTimeout)")
            refuse(408)
        // Who still takes the last answer is not idle; the write deadline is over it.
        case .idle where stream.unsentBytes > 0: timer?.set(after: configuration.idleTimeout)
        case .idle where hasAnswered: closeAfterFlush()
        // Nothing lies on the way to a client that was never answered.
        case .idle: stream.close()
        case .exchange(let exchange) where exchange.facts.isEnding: farewellPassed(exchange)
        case .exchange: bodyDeadlinePassed()
        case .upgraded, .closing, .closed: return
        }
    }

    private func bodyDeadlinePassed() {
        switch bodyClock {
        case .stopped: lookForPeer()
        case .running:
            report(.slowBody, "less than the minimum of the body in \(configuration.bodyTimeout)")
            end(BerthError(.requestTimedOut, "the request's body stopped for \(configuration.bodyTimeout)"))
        case .held:
            report(.unreadBody, "the handler read nothing of the body for \(configuration.unreadTimeout)")
            end(BerthError(.timedOut, "the request's body was not read for too long"))
        }
    }

    /// A client that has sent more than was asked for is not read, so its end shows only on looking.
    func lookForPeer() {
        guard case .exchange = phase, !pending.isEmpty else { return }
        if stream.socket.hasPeerShut { return inputEnded() }
        timer?.set(after: configuration.farewellTimeout)
    }

    // MARK: The body's clock

    /// The server waits for the client, which must make progress from now on.
    func startBodyClock() {
        bodyClock = .running
        bodyProgress = 0
        timer?.set(after: configuration.bodyTimeout)
    }

    /// The client waits for the handler.
    func holdBodyClock() {
        bodyClock = .held
        timer?.set(after: configuration.unreadTimeout)
    }

    func stopBodyClock() {
        bodyClock = .stopped
        timer?.set(nil)
    }

    func bodyProgressed(_ count: Int) {
        bodyProgress += count
        if bodyClock != .running || bodyProgress >= configuration.minimumBytes { startBodyClock() }
    }

    // MARK: The end of an exchange that goes wrong

    func malformed(_ status: Int, _ reason: String) {
        switch phase {
        case .idle:
            // Who asks too often has been reported where it was counted.
            if status != 429 { report(.malformedRequest, "\(status): \(reason)") }
            refuse(status)
        case .exchange where status == 413:
            report(.largeBody, "more than \(configuration.maximumBodyBytes) bytes")
            end(BerthError(.tooLarge, "the request's body is longer than \(configuration.maximumBodyBytes) bytes"))
        case .exchange:
            report(.malformedBody, reason)
            end(BerthError(.invalidRequest, "the request's body is not what HTTP allows"))
        case .upgraded, .closing, .closed: stream.close()
        }
    }

    /// The client is gone or has shut its side: an answer that is ready soon is still sent.
    func inputEnded() {
        end(BerthError(.invalidRequest, "the client closed the connection before its body was complete"))
        // Who reads events keeps the connection open; whoever has shut it reads no more.
        if case .exchange(let exchange) = phase, answersEvents { exchange.run?.cancel() }
    }

    /// The rest of the request is unusable; the handler hears of it and the connection ends with its answer.
    private func end(_ error: BerthError) {
        guard case .exchange(var exchange) = phase else { return }
        exchange.body.fail(error)
        exchange.facts.keepsAlive = false
        exchange.facts.isEnding = true
        exchange.facts.lastLook = loop.now
        phase = .exchange(exchange)
        bodyClock = .stopped
        stream.pauseReading()
        timer?.set(after: configuration.farewellTimeout)
    }

    /// An answer that makes progress goes on; one that does not is cancelled first and cut off then.
    private func farewellPassed(_ exchange: Exchange) {
        var exchange = exchange
        let last = exchange.facts.lastLook
        exchange.facts.lastLook = loop.now
        if stream.unsentBytes > 0 || writer.map({ $0.lastWrite > last }) == true {
            phase = .exchange(exchange)
            timer?.set(after: configuration.farewellTimeout)
        } else if !exchange.facts.isCancelled {
            exchange.facts.isCancelled = true
            phase = .exchange(exchange)
            exchange.run?.cancel()
            timer?.set(after: configuration.farewellTimeout)
        } else {
            report(.lateHandler, "no answer after the request's end")
            stream.close()
        }
    }
}
