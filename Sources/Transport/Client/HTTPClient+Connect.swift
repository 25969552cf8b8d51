internal import Base
internal import EventLoop
internal import OpenSSL

extension HTTPClient {
    /// A fresh connection that is good for requests to `endpoint`.
    func connect(to endpoint: HTTPEndpoint, by route: HTTPProxy.Route) async throws -> ClientConnection {
        let deadline = loop.time.uptime + configuration.connectTimeout
        let socket: Socket
        var reached = endpoint
        switch route {
        case .direct: socket = try await Socket.connect(to: endpoint, loop: loop, until: deadline)
        case .forward(let proxy):
            reached = proxy.endpoint
            socket = try await Socket.connect(to: proxy.endpoint, loop: loop, until: deadline)
        case .tunnel(let proxy):
            socket = try await tunnel(to: endpoint, through: proxy, until: deadline)
        }
        let session: TLSSession?
        do {
            session = reached.isSecure ? try TLSSession(tls(), serverName: reached.serverName) : nil
        } catch {
            socket.close()
            throw error
        }
        let stream = ByteStream(socket, tls: session)
        do {
            try await stream.handshake(until: deadline)
        } catch {
            stream.close()
            throw error
        }
        return ClientConnection(stream: stream, endpoint: reached, configuration: configuration)
    }

    private func tunnel(
        to endpoint: HTTPEndpoint,
        through proxy: HTTPProxy.Server,
        until deadline: Uptime
    ) async throws -> Socket {
        guard case .tcp(let host, let port) = endpoint.place else {
            throw BerthError(.internal, "a unix socket is not reached through a proxy")
        }
        let socket = try await Socket.connect(to: proxy.endpoint, loop: loop, until: deadline)
        let connection = ClientConnection(
            stream: ByteStream(socket),
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
                headTimeout: deadline - loop.time.uptime
            )
        )
        guard (200..<300).contains(response.status) else {
            connection.close()
            throw BerthError(
                .network,
                "the proxy \(proxy.endpoint) answered \(response.status) to a connection to \(authority)"
            )
        }
        return connection.takeStream().stream.socket
    }
}

extension Socket {
    /// Tries the addresses of the endpoint one after the other, each for its share of the time that is left.
    static func connect(to endpoint: HTTPEndpoint, loop: EventLoop, until deadline: Uptime) async throws -> Socket {
        let addresses: [SocketAddress]
        switch endpoint.place {
        case .unix(let path): addresses = [try SocketAddress.unix(path)]
        case .tcp(let host, let port): addresses = try await loop.lookUp(host: host, port: port, until: deadline)
        }
        var failure: (any Error)?
        for (index, address) in addresses.enumerated() {
            let left = deadline - loop.time.uptime
            let share = loop.time.uptime + left / (addresses.count - index)
            do {
                return try await connect(to: address, loop: loop, until: share)
            } catch {
                if error is CancellationError { throw error }
                failure = failure ?? error
            }
        }
        throw failure ?? closedError
    }
}
