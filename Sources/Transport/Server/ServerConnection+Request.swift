internal import Base
internal import EventLoop

// From the head of a request to the end of its body.
extension ServerConnection: HTTPParserDelegate {
    func parserReadHead(_ head: HTTPHead) -> HTTPParser.Verdict {
        isHeadTimed = false
        var headers = head.headers
        if let refusal = RequestRules.refusal(
            head,
            headers: headers,
            maximumBodyBytes: configuration.maximumBodyBytes
        ) {
            return .refuse(status: refusal.status, reason: refusal.reason)
        }
        let text = String(decoding: head.bytes[..<head.targetLength], as: UTF8.self)
        guard let method = RequestRules.method(head.method),
            let (path, query) = RequestRules.target(text, method: method)
        else { return .refuse(status: 400, reason: "bad target") }
        if let authority = RequestRules.authority(text) { headers.set("host", authority) }
        var peer = peer
        var peerName = peerName
        var isSecure = stream.isSecure
        if isProxy, let client = forwardedClient(headers) {
            guard client.isWelcome else { return .refuse(status: 429, reason: "too many requests of one client") }
            peer = .tcp(client.address)
            peerName = client.address.host
            isSecure = client.isSecure ?? isSecure
        }
        // A handshake has no body, so one that brings some is answered as the plain request it also is.
        let hasBody = head.isChunked || (head.contentLength ?? 0) > 0
        let (body, incoming) = hasBody ? makeBody() : place.noBody
        let request = HTTPRequest(
            id: server.ids.make(),
            method: method,
            path: path,
            rawQuery: query,
            headers: headers,
            body: incoming,
            peer: peer,
            peerName: peerName,
            isSecure: isSecure,
            loop: loop,
            compresses: configuration.compresses
        )
        let isUpgrade = head.isUpgrade && !hasBody && request.asksForWebSocket
        var exchange = Exchange(
            request: request,
            body: body,
            facts: RequestFacts(
                isVersion10: head.minorVersion == 0,
                keepsAlive: head.keepsAlive && !place.isDraining,
                isUpgrade: isUpgrade,
                // A version 1.0 client cannot mean it (RFC 9110, section 10.1.1).
                awaitsContinue: head.minorVersion == 1 && hasBody && headers.contains("expect")
            )
        )
        bodyBytes = 0
        isReadingBody = true
        // Without a body the timer stays as it is: should it come due, there is nothing it does.
        if exchange.facts.awaitsContinue {
            holdBodyClock()
        } else if hasBody {
            startBodyClock()
        }
        exchange.run = loop.pool.run { [self] in await answer(request) }
        phase = .exchange(exchange)
        return head.isUpgrade && !isUpgrade ? .notUpgraded : .proceed
    }

    private func makeBody() -> (BodyBuffer, IncomingBody) {
        let body = BodyBuffer(loop: loop)
        body.onDemand { [unowned self] in bodyWanted() }
        return (body, IncomingBody(body))
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
            holdBodyClock()
        } else {
            bodyProgressed(bytes.count)
        }
        return .proceed
    }

    func parserReadMessage() {
        isReadingBody = false
        if bodyClock != .stopped { stopBodyClock() }
        if case .exchange(let exchange) = phase { exchange.body.finish() }
    }

    /// A reader has taken everything that came in.
    private func bodyWanted() {
        guard case .exchange(var exchange) = phase, isReadingBody, !exchange.facts.isEnding else { return }
        if exchange.facts.awaitsContinue {
            exchange.facts.awaitsContinue = false
            phase = .exchange(exchange)
            stream.write("HTTP/1.1 100 Continue\r\n\r\n")
        }
        // A reader that follows closely gives the client no more time than one that waits.
        if bodyClock != .running { startBodyClock() }
        stream.resumeReading()
    }

    /// Whom the proxy speaks for, counted in its place.
    private func forwardedClient(_ headers: HTTPHeaders) -> (address: SocketAddress, isSecure: Bool?, isWelcome: Bool)?
    {
        guard
            let client = ForwardedClient(
                headers,
                field: configuration.proxyField,
                isTrusted: { server.isTrusted($0) }
            )
        else { return nil }
        guard let group = ClientGroup(client.address) else { return (client.address, client.isSecure, true) }
        forwardedGroup = group
        let limit = server.groupLimit(group)
        let isWelcome = server.counts.enter(group) <= limit
        if !isWelcome {
            leaveForwarded()
            server.faults.report(
                .manyFromAddress,
                peer: .tcp(client.address),
                detail: "more than \(limit) requests at once through \(peer)",
                at: loop.now
            )
        }
        return (client.address, client.isSecure, isWelcome)
    }
}
