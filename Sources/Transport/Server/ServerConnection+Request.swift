internal import Base
internal import EventLoop

// From the head of a request to the end of its body.
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
