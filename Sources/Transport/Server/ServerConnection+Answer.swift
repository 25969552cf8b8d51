internal import Base
internal import EventLoop
internal import Synchronization

// From what a handler returns to the last byte of its answer.
extension ServerConnection {
    func answer(_ request: HTTPRequest) async {
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
        let response = response.prepared(for: request)
        // A WebSocket's handshake writes its own head, so a handler may well say 101.
        let isUpgrade =
            switch response.body {
            case .webSocket, .webSocketHandOver: true
            default: false
            }
        guard isUpgrade || (200...999).contains(response.status) else {
            throw BerthError(.internal, "a handler answered with the status \(response.status)")
        }
        switch response.body {
        case .bytes, .stream, .file: try await sendBody(response, exchange)
        case .events(let produce):
            try await sendEvents(response, exchange, produce)
        case .webSocket(let subprotocol, let own, let run):
            let settings = own ?? configuration.webSocket
            guard let socket = try await upgrade(response, exchange, subprotocol: subprotocol, settings) else { return }
            // In a task of its own: the request's keeps the memory of its deepest call until it ends.
            let id = exchange.request.id
            loop.spawn { [self] in await serve(socket, id, run) }
            return
        case .webSocketHandOver(let target, let own, let body):
            var settings = own ?? configuration.webSocket
            // The compressors' pool belongs to this loop.
            settings.compression = nil
            guard try await shakeHands(response, exchange, subprotocol: nil, settings) != nil else { return }
            return try await handOver(settings, from: exchange.request.peer, to: target, body)
        }
        if stream.isCongested { try await stream.drained() }
        finishExchange()
    }

    static func mayHaveBody(_ status: Int) -> Bool { status >= 200 && status != 204 && status != 304 }

    @discardableResult
    func writeHead(_ response: HTTPResponse, _ exchange: Exchange, length: Int?) -> BodyWriter {
        var exchange = exchange
        // The rest of a body that nobody wanted is not read: the connection ends instead.
        // What came behind a declined handshake is the next request, whenever it came (RFC 9110, section 7.8).
        if isReadingBody || stream.socket.hasInputEnded {
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
        let writer = BodyWriter(stream: stream, framing: framing.1)
        self.writer = writer
        return writer
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
        answersEvents = true
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
        hasAnswered = true
        writer = nil
        answersEvents = false
        leaveForwarded()
        timer?.set(after: configuration.idleTimeout)
        if exchange.facts.isUpgrade { parser?.declineUpgrade() } else { parser?.resume() }
        feedPending()
        if pending.isEmpty { stream.resumeReading() }
    }

    private func upgrade(
        _ response: HTTPResponse,
        _ exchange: Exchange,
        subprotocol: String?,
        _ settings: WebSocketConfiguration
    ) async throws -> WebSocket? {
        guard let agreed = try await shakeHands(response, exchange, subprotocol: subprotocol, settings) else {
            return nil
        }
        let socket = WebSocket(
            stream: stream,
            role: .server,
            configuration: settings,
            agreed: agreed,
            pool: place.compression
        )
        watch(socket, of: exchange.request.peer)
        phase = .upgraded(socket)
        server.webSockets.wrappingAdd(1, ordering: .relaxed)
        timer?.close()
        timer = nil
        parser = nil
        let early = pending
        pending = []
        socket.begin(with: early[pendingStart...])
        return socket
    }

    /// Writes the 101 and returns what it agrees to; a request that is no good handshake is answered otherwise.
    private func shakeHands(
        _ response: HTTPResponse,
        _ exchange: Exchange,
        subprotocol: String?,
        _ settings: WebSocketConfiguration
    ) async throws -> WebSocketHandshake.Agreement? {
        guard let key = try await handshakeKey(exchange) else { return nil }
        guard
            let (head, agreed) = WebSocketHandshake.accept(
                exchange.request,
                key: key,
                subprotocol: subprotocol,
                headers: response.headers,
                compression: settings.compression
            )
        else {
            let refusal = HTTPResponse.text("sec-websocket-extensions is malformed\n", status: 400)
            try await send(refusal, to: exchange.request)
            return nil
        }
        stream.write(head)
        return agreed
    }

    /// The key of a valid handshake; any other request is answered.
    private func handshakeKey(_ exchange: Exchange) async throws -> String? {
        if exchange.facts.isUpgrade, !exchange.facts.isVersion10, !isReadingBody,
            let key = WebSocketHandshake.key(of: exchange.request)
        {
            return key
        }
        var refusal = HTTPResponse.text("this address speaks WebSocket version 13 only\n", status: 426)
        refusal.headers.add("upgrade", "websocket")
        refusal.headers.add("sec-websocket-version", "13")
        try await send(refusal, to: exchange.request)
        return nil
    }

    private func serve(
        _ socket: WebSocket,
        _ request: RequestID,
        _ run: @Sendable (WebSocket) async throws -> Void
    ) async {
        do {
            try await run(socket)
            socket.close(code: .normal)
        } catch {
            let known = BerthError(wrapping: error)
            if known.code == .internal {
                server.log.error("websocket failed", ["request_id": request, "error": known.message])
            }
            socket.close(code: .internalError)
        }
    }
}
