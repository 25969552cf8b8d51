public import Base
public import EventLoop
internal import OpenSSL

/// An HTTP/1.1 client that keeps its connections. It lives on one loop; calls from elsewhere go there.
public actor HTTPClient {
    public nonisolated let loop: EventLoop
    let configuration: HTTPClientConfiguration
    private let randomness: any Randomness
    private var idle: [HTTPEndpoint: [ClientConnection]] = [:]
    private var busy: [ObjectIdentifier: ClientConnection] = [:]
    private var isClosed = false
    private let compression = CompressionPool()
    private var tlsContext: TLSContext?

    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    public init(
        loop: EventLoop,
        configuration: HTTPClientConfiguration = HTTPClientConfiguration(),
        randomness: any Randomness = SystemRandomness()
    ) {
        self.loop = loop
        self.configuration = configuration
        self.randomness = randomness
    }

    /// Returns when the head of the response is in. Throws `network`, `timedOut`, `protocolViolation` or `tooLarge`;
    /// a status of any kind is a response, not an error.
    public func send(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        while true {
            let endpoint = request.url.endpoint
            let route = configuration.proxy?.route(to: endpoint) ?? .direct
            let (connection, isReused) = try await connection(to: endpoint, by: route)
            do {
                if case .forward(let proxy) = route {
                    return try await connection.send(request.forwarded(by: proxy))
                }
                return try await connection.send(request)
            } catch let error as BerthError where error.code == .network && isReused && !connection.hasHeard {
                // The server closed it while it was idle. Only a request that may be repeated gets another.
                guard request.method.isIdempotent, !request.body.isStream else { throw error }
            }
        }
    }

    /// Sends the request and reads the whole body, up to `limit` bytes.
    public func fetch(
        _ request: HTTPClientRequest,
        upTo limit: Int = 16 * 1024 * 1024
    ) async throws -> (status: Int, headers: HTTPHeaders, body: [UInt8]) {
        let response = try await send(request)
        return (response.status, response.headers, try await response.body.collect(upTo: limit))
    }

    /// Opens a WebSocket at `url` (`ws:`, `wss:`, or a unix endpoint). `headers` go with the handshake.
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
        guard !isClosed else { throw Self.closedError }
        let endpoint = url.endpoint
        let route = self.configuration.proxy?.route(to: endpoint) ?? .direct
        let connection = try await connect(to: endpoint, by: route.tunnelled)
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

    /// Closes all connections, also those in use.
    public func close() {
        isClosed = true
        let open = idle.values.flatMap { $0 } + Array(busy.values)
        idle = [:]
        busy = [:]
        for connection in open { connection.close(Self.closedError) }
    }

    private static var closedError: BerthError { BerthError(.cancelled, "the client is closed") }

    // MARK: Connections

    private func connection(
        to endpoint: HTTPEndpoint,
        by route: HTTPProxy.Route
    ) async throws -> (ClientConnection, isReused: Bool) {
        guard !isClosed else { throw Self.closedError }
        var key = endpoint
        if case .forward(let proxy) = route { key = proxy.endpoint }
        while let connection = idle[key]?.popLast() {
            guard connection.isIdle else { continue }
            busy[ObjectIdentifier(connection)] = connection
            return (connection, true)
        }
        let connection = try await connect(to: endpoint, by: route)
        guard !isClosed else {
            connection.close()
            throw Self.closedError
        }
        busy[ObjectIdentifier(connection)] = connection
        connection.onIdle = { [weak self, unowned connection] in
            self?.assumeIsolated { $0.becameIdle(connection) }
        }
        connection.onClosed = { [weak self, unowned connection] in
            self?.assumeIsolated { $0.closed(connection) }
        }
        return (connection, false)
    }

    private func becameIdle(_ connection: ClientConnection) {
        busy[ObjectIdentifier(connection)] = nil
        let kept = idle[connection.endpoint]?.count ?? 0
        if isClosed || kept >= configuration.maximumIdlePerEndpoint { return connection.close() }
        idle[connection.endpoint, default: []].append(connection)
    }

    private func closed(_ connection: ClientConnection) {
        busy[ObjectIdentifier(connection)] = nil
        idle[connection.endpoint]?.removeAll { $0 === connection }
        if idle[connection.endpoint]?.isEmpty == true { idle[connection.endpoint] = nil }
    }

    /// Made at the first need: it reads the authorities from disk and holds them.
    func tls() throws(BerthError) -> TLSContext {
        if let tlsContext { return tlsContext }
        let context = try TLSContext.client(trust: configuration.trust)
        tlsContext = context
        return context
    }
}

extension HTTPClientRequest.Body {
    fileprivate var isStream: Bool {
        if case .stream = self { true } else { false }
    }
}

extension HTTPClientRequest {
    /// In the form a proxy takes: the whole URL as target (RFC 9112, section 3.2.2).
    fileprivate func forwarded(by proxy: HTTPProxy.Server) -> HTTPClientRequest {
        var request = self
        request.url.target = "\(url.endpoint)\(url.target)"
        if let authorization = proxy.authorization {
            request.headers.set("proxy-authorization", authorization.reveal())
        }
        return request
    }
}

extension HTTPProxy.Route {
    /// A WebSocket always needs a connection of its own through the proxy.
    fileprivate var tunnelled: HTTPProxy.Route {
        if case .forward(let proxy) = self { .tunnel(proxy) } else { self }
    }
}
