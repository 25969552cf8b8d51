public import Base
internal import EventLoop

extension HTTPClient {
    /// Opens a WebSocket at `url` (`ws:`, `wss:`, or a unix endpoint). `headers` go with the handshake; `refused` makes
    /// the error of any other answer than 101.
    public func webSocket(
        _ url: HTTPURL,
        headers: HTTPHeaders = HTTPHeaders(),
        configuration: WebSocketConfiguration? = nil,
        refused: (@Sendable (HTTPClientResponse) async throws -> BerthError)? = nil
    ) async throws -> WebSocket {
        let key = WebSocketHandshake.newKey(randomness)
        var headers = headers
        let configuration = configuration ?? self.configuration.webSocket
        WebSocketHandshake.ask(&headers, key: key, compression: configuration.compression)
        let connection = try await ownConnection(to: url.endpoint)
        let response = try await connection.send(HTTPClientRequest(.get, url, headers: headers))
        let agreed: WebSocketHandshake.Agreement
        do {
            if response.status != 101, let refused { throw try await refused(response) }
            agreed = try WebSocketHandshake.check(
                status: response.status,
                headers: response.headers,
                key: key,
                asked: headers,
                compression: configuration.compression
            )
        } catch {
            connection.close()
            throw error
        }
        let (stream, early) = connection.takeStream()
        guard stream.isOpen else { throw Socket.closedError }
        let socket = WebSocket(
            stream: stream,
            role: .client,
            configuration: configuration,
            agreed: agreed,
            pool: compression,
            randomness: randomness
        )
        socket.begin(with: early[...])
        return socket
    }

    /// Leaves HTTP with `request`, whose `upgrade` field is `tcp` unless it has one: the connection becomes a stream of
    /// bytes. Docker's attach and exec answer with 101, or, when they are old, with 200 and a body without a length;
    /// both will do. Any other answer is an error that carries what the server said.
    public func upgrade(_ request: HTTPClientRequest) async throws -> UpgradedStream {
        var request = request
        if !request.headers.contains("upgrade") { request.headers.set("upgrade", "tcp") }
        request.headers.set("connection", "Upgrade")
        let connection = try await ownConnection(to: request.url.endpoint)
        let response = try await connection.send(request, takingRawStream: true)
        guard connection.isUpgraded else {
            let text = (try? await response.body.collect(upTo: 64 * 1024)).map { String(decoding: $0, as: UTF8.self) }
            connection.close()
            throw BerthError(
                Self.code(of: response.status),
                "\(request.url.endpoint) answered \(response.status) instead of changing to a stream of bytes",
                detail: text,
                isRetryable: response.status >= 500
            )
        }
        let (stream, early) = connection.takeStream()
        guard stream.isOpen else { throw Socket.closedError }
        return UpgradedStream(status: response.status, headers: response.headers, stream: stream, early: early)
    }

    /// Beside the pool; a proxy is asked for a tunnel.
    private func ownConnection(to endpoint: HTTPEndpoint) async throws -> ClientConnection {
        try checkOpen()
        let route = try configuration.proxy?.route(to: endpoint) ?? .direct
        return try await connect(to: endpoint, by: route.tunnelled, until: nil)
    }
}

extension HTTPProxy.Route {
    fileprivate var tunnelled: HTTPProxy.Route {
        if case .forward(let proxy) = self { .tunnel(proxy) } else { self }
    }
}
