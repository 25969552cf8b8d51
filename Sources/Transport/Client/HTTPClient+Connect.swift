internal import Base
internal import EventLoop
internal import OpenSSL

extension HTTPClient {
    /// A fresh connection that is good for requests to `endpoint`. Each phase has its own time; `deadline` holds for
    /// them together.
    func connect(
        to endpoint: HTTPEndpoint,
        by route: HTTPProxy.Route,
        until deadline: Uptime?
    ) async throws -> ClientConnection {
        let socket: Socket
        var reached = endpoint
        switch route {
        case .direct: socket = try await self.socket(to: endpoint, until: deadline)
        case .forward(let proxy):
            reached = proxy.endpoint
            socket = try await self.socket(to: proxy.endpoint, until: deadline)
        case .tunnel(let proxy): socket = try await tunnel(to: endpoint, through: proxy, until: deadline)
        }
        let stream: ByteStream
        do {
            stream = ByteStream(socket, tls: try session(reached))
        } catch {
            socket.close()
            throw error
        }
        do {
            try await stream.handshake(until: limit(configuration.tlsTimeout, deadline))
        } catch {
            stream.close()
            throw error
        }
        return ClientConnection(stream: stream, endpoint: reached, configuration: configuration)
    }

    private func session(_ endpoint: HTTPEndpoint) throws(BerthError) -> TLSSession? {
        guard endpoint.isSecure else { return nil }
        let time = loop.time
        return try TLSSession(client: tls(), serverName: endpoint.serverName) { time.now }
    }

    private func limit(_ duration: Duration, _ deadline: Uptime?) -> Uptime {
        let limit = loop.time.uptime + duration
        return min(limit, deadline ?? limit)
    }

    private func socket(to endpoint: HTTPEndpoint, until deadline: Uptime?) async throws -> Socket {
        let addresses: [SocketAddress]
        switch endpoint.place {
        case .unix(let path): addresses = [try SocketAddress.unix(path)]
        case .tcp(let host, let port):
            addresses = try await loop.lookUp(
                host: host,
                port: port,
                until: limit(configuration.lookUpTimeout, deadline),
                resolver: resolver
            )
        }
        return try await Socket.connect(
            toFirstOf: addresses,
            loop: loop,
            until: limit(configuration.connectTimeout, deadline)
        )
    }

    private func tunnel(
        to endpoint: HTTPEndpoint,
        through proxy: HTTPProxy.Server,
        until deadline: Uptime?
    ) async throws -> Socket {
        guard case .tcp(let host, let port) = endpoint.place else {
            throw BerthError(.internal, "a unix socket is not reached through a proxy")
        }
        let connection = ClientConnection(
            stream: ByteStream(try await socket(to: proxy.endpoint, until: deadline)),
            endpoint: proxy.endpoint,
            configuration: configuration
        )
        let authority = "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        var headers: HTTPHeaders = ["host": authority]
        if let authorization = proxy.authorization { headers.add("proxy-authorization", authorization.reveal()) }
        let response = try await connection.send(
            HTTPClientRequest(
                .connect,
                HTTPURL(endpoint: endpoint, target: authority),
                headers: headers,
                headTimeout: configuration.tlsTimeout
            ),
            until: deadline
        )
        guard (200..<300).contains(response.status) else {
            connection.close()
            throw BerthError(
                .network,
                "the proxy \(proxy.endpoint) answered \(response.status) to a connection to \(authority)",
                remedy: response.status == 407 ? "give its user and password: http://user:password@host:port" : nil
            )
        }
        return connection.takeStream().stream.socket
    }
}
