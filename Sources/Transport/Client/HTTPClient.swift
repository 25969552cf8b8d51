public import Base
public import EventLoop
internal import OpenSSL

/// An HTTP/1.1 client that keeps its connections. It lives on one loop; calls from elsewhere go there.
public actor HTTPClient {
    public nonisolated let loop: EventLoop
    nonisolated let configuration: HTTPClientConfiguration
    let randomness: any Randomness
    let resolver: Resolver
    private var pool: ConnectionPool<HTTPEndpoint, ClientConnection>
    private var open: [ObjectIdentifier: ClientConnection] = [:]
    /// By ticket; resumed with a connection, or with nil to open one.
    private var waiters: [Int: Waiter<ClientConnection?>] = [:]
    private var isClosed = false
    let compression = CompressionPool()
    private var tlsContext: TLSContext?

    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }

    public init(
        loop: EventLoop,
        configuration: HTTPClientConfiguration = HTTPClientConfiguration(),
        randomness: any Randomness = SystemRandomness(),
        resolver: Resolver = Resolver()
    ) {
        self.loop = loop
        self.configuration = configuration
        self.randomness = randomness
        self.resolver = resolver
        pool = ConnectionPool(
            maximum: configuration.maximumPerEndpoint,
            maximumIdle: configuration.maximumIdlePerEndpoint
        )
    }

    /// Returns when the head of the response is in, redirects followed and what may be repeated tried again as the
    /// configuration says. Throws `network`, `certificate`, `timedOut`, `protocolViolation` or `tooLarge`; a status of
    /// any kind is a response, not an error.
    public func send(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        let deadline = request.timeout.map { loop.time.uptime + $0 }
        var request = request
        var redirects = 0
        while true {
            let response = try await sendAgain(request, until: deadline)
            guard configuration.maximumRedirects > 0,
                let next = try HTTPRedirect.request(after: response, to: request)
            else { return response }
            redirects += 1
            guard redirects <= configuration.maximumRedirects else {
                throw BerthError(
                    .protocolViolation,
                    "\(request.url.endpoint) redirects more than \(configuration.maximumRedirects) times"
                )
            }
            await Self.discard(response)
            request = next
        }
    }

    /// Repeats what may be repeated, with waits between.
    private func sendAgain(_ request: HTTPClientRequest, until deadline: Uptime?) async throws -> HTTPClientResponse {
        var plan = configuration.retries.plan(for: request)
        while true {
            let wait: Duration
            do {
                let response = try await sendOnce(request, until: deadline)
                guard let pause = plan.pause(after: response, now: loop.time.now, randomness: randomness) else {
                    return response
                }
                // Where the wait would outlast the caller, the answer is worth more.
                if let deadline, loop.time.uptime + pause >= deadline { return response }
                await Self.discard(response)
                wait = pause
            } catch let error as BerthError {
                guard let pause = plan.pause(after: error, randomness: randomness) else { throw error }
                if let deadline, loop.time.uptime + pause >= deadline { throw error }
                wait = pause
            }
            try await loop.time.wait(for: wait)
        }
    }

    private func sendOnce(_ request: HTTPClientRequest, until deadline: Uptime?) async throws -> HTTPClientResponse {
        while true {
            let endpoint = request.url.endpoint
            let route = try configuration.proxy?.route(to: endpoint) ?? .direct
            let (connection, isReused) = try await connection(to: endpoint, by: route, until: deadline)
            do {
                var response: HTTPClientResponse
                if case .forward(let proxy) = route {
                    response = try await connection.send(request.forwarded(by: proxy), until: deadline)
                    response.url = request.url
                } else {
                    response = try await connection.send(request, until: deadline)
                }
                return response
            } catch let error as BerthError where error.code == .network && isReused && !connection.hasHeard {
                // The server closed it while it was idle. Only a request that may be repeated gets another.
                guard request.isRepeatable else { throw error }
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

    /// A short body is read, so that its connection lives on; of a long one the rest is dropped with its connection.
    private static func discard(_ response: HTTPClientResponse) async {
        _ = try? await response.body.collect(upTo: 64 * 1024)
    }

    /// Closes all connections, also those in use.
    public func close() {
        isClosed = true
        let connections = open
        let waiting = waiters
        open = [:]
        waiters = [:]
        for (_, waiter) in waiting { waiter.resume(throwing: Self.closedError) }
        for (_, connection) in connections { connection.close(Self.closedError) }
    }

    func checkOpen() throws { if isClosed { throw Self.closedError } }

    private static var closedError: BerthError { BerthError(.cancelled, "the client is closed") }

    /// Made at the first need: it reads the authorities from disk and holds them.
    func tls() throws(BerthError) -> TLSContext {
        if let tlsContext { return tlsContext }
        let context = try TLSContext.client(trust: configuration.trust)
        tlsContext = context
        return context
    }
}

// MARK: - Connections

extension HTTPClient {
    private func connection(
        to endpoint: HTTPEndpoint,
        by route: HTTPProxy.Route,
        until deadline: Uptime?
    ) async throws -> (ClientConnection, isReused: Bool) {
        var key = endpoint
        if case .forward(let proxy) = route { key = proxy.endpoint }
        while true {
            try checkOpen()
            switch pool.acquire(key) {
            case .reuse(let connection):
                // One that just broke tells of it in a moment.
                if connection.isIdle { return (connection, true) }
            case .open: return (try await opened(key, endpoint, route, deadline), false)
            case .wait(let ticket):
                guard let connection = try await wait(ticket, key, deadline) else {
                    return (try await opened(key, endpoint, route, deadline), false)
                }
                if connection.isIdle { return (connection, true) }
            }
        }
    }

    /// Until somebody gives a connection over, or (nil) leaves room for a new one.
    private func wait(_ ticket: Int, _ key: HTTPEndpoint, _ deadline: Uptime?) async throws -> ClientConnection? {
        let limit = loop.time.uptime + configuration.queueTimeout
        do {
            return try await loop.suspend(
                until: min(limit, deadline ?? limit),
                what: "waiting for one of the connections to \(key)"
            ) { [self] waiter in
                assumeIsolated { $0.waiters[ticket] = waiter }
            }
        } catch {
            waiters[ticket] = nil
            pool.abandon(ticket: ticket, of: key)
            throw error
        }
    }

    private func opened(
        _ key: HTTPEndpoint,
        _ endpoint: HTTPEndpoint,
        _ route: HTTPProxy.Route,
        _ deadline: Uptime?
    ) async throws -> ClientConnection {
        let connection: ClientConnection
        do {
            connection = try await connect(to: endpoint, by: route, until: deadline)
            if isClosed { connection.close() }
            try checkOpen()
        } catch {
            makeRoom(nil, key)
            throw error
        }
        open[ObjectIdentifier(connection)] = connection
        connection.onIdle = { [weak self, unowned connection] in
            self?.assumeIsolated { $0.becameIdle(connection, key) }
        }
        connection.onClosed = { [weak self, unowned connection] in
            self?.assumeIsolated { $0.closed(connection, key) }
        }
        return connection
    }

    private func becameIdle(_ connection: ClientConnection, _ key: HTTPEndpoint) {
        guard !isClosed else { return connection.close() }
        while true {
            switch pool.released(connection, of: key) {
            case .serve(let ticket):
                // One that was cancelled meanwhile does not want it.
                if waiters.removeValue(forKey: ticket)?.resume(returning: connection) == true { return }
            case .keep: return
            case .close: return connection.close()
            }
        }
    }

    private func closed(_ connection: ClientConnection, _ key: HTTPEndpoint) {
        guard open.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        makeRoom(connection, key)
    }

    private func makeRoom(_ connection: ClientConnection?, _ key: HTTPEndpoint) {
        while let ticket = pool.ended(connection, of: key) {
            if waiters.removeValue(forKey: ticket)?.resume(returning: nil) == true { return }
        }
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
