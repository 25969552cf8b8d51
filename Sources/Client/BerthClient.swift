public import API
public import Base
public import Domain
public import EventLoop
public import OpenSSL
public import Transport

/// The API of a server, typed. Paths come from the route table, so client and server cannot disagree about them.
public struct BerthClient: Sendable {
    private let http: HTTPClient
    private let servers: ServerChoice
    private let key: Secret<String>?
    /// The server's address as it was given.
    public let url: String
    let loop: EventLoop
    let randomness: any Randomness

    /// - Parameters:
    ///   - url: `http://`, `https://` or `unix:/path`; several with commas are servers of one deployment, of which the
    ///     first is asked until it does not answer.
    ///   - trust: which servers to believe on `https`.
    ///   - proxy: what requests to other machines go through.
    public init(
        url: String,
        key: Secret<String>?,
        trust: TLSTrust = .system,
        proxy: HTTPProxy? = nil,
        loop: EventLoop,
        randomness: any Randomness = SystemRandomness()
    ) throws(BerthError) {
        servers = try ServerChoice(url)
        self.url = url
        self.key = key
        self.loop = loop
        self.randomness = randomness
        var configuration = HTTPClientConfiguration()
        // A wait of the API is five minutes at most.
        configuration.headTimeout = .seconds(330)
        // Event streams and outputs are kept alive by the server's comments, every 15 s.
        configuration.bodyTimeout = .seconds(60)
        configuration.trust = trust
        configuration.proxy = proxy
        // A server of this machine is there or it is not, and compressing for it would only cost time.
        configuration.decompresses = !servers.isLocal
        // Several servers: the next one is asked instead.
        if !servers.isLocal, servers.count == 1 {
            configuration.retries = HTTPRetries(maximum: 2, longestWait: .seconds(10))
        }
        http = HTTPClient(loop: loop, configuration: configuration, randomness: randomness)
    }

    /// Calls `route` and decodes its answer. Throws the server's own error as it was, and `unavailable` where no server
    /// answers.
    public func call<Answer: Decodable & Sendable>(
        _ route: RouteID,
        path: [String: String] = [:],
        query: [(String, String)] = [],
        body: (any Encodable & Sendable)? = nil,
        idempotencyKey: String? = nil
    ) async throws -> Answer {
        let bytes = try body.map { try JSONBody.encode($0) }
        let answer = try await fetch(route, path, query, body: bytes, idempotencyKey: idempotencyKey)
        return try JSONBody.decode(Answer.self, from: answer)
    }

    /// One piece of a stored stream; empty at its present end. Offsets count stored bytes.
    public func output(of id: ExecutionID, stream: OutputStream, from offset: Int64) async throws
        -> [UInt8]
    {
        let response = try await send(
            .executionOutput,
            ["executionId": id.text],
            [("stream", stream.rawValue), ("offset", "\(offset)"), ("limit", "\(4 << 20)")]
        )
        return try await response.body.collect(upTo: 64 << 20)
    }

    /// What happens to an execution from `position` on; goes on by itself when the connection breaks.
    ///
    /// - Parameter whenAway: called once for each time that no server has answered for two seconds.
    public func events(
        of id: ExecutionID,
        streams: String,
        isRaw: Bool,
        follows: Bool = true,
        from position: StreamPosition = .start,
        whenAway: (@Sendable () -> Void)? = nil
    ) -> ExecutionEvents {
        ExecutionEvents(
            client: self,
            id: id,
            streams: streams,
            isRaw: isRaw,
            follows: follows,
            position: position,
            whenAway: whenAway
        )
    }

    /// A TCP connection to a port inside an environment: binary messages are its bytes, an empty one ends a direction.
    public func tunnel(environment: EnvironmentID, port: Int) async throws -> WebSocket {
        try await webSocket(.environmentTunnel, ["environmentId": environment.text], [("port", "\(port)")])
    }

    /// A connection to the SSH server of an environment, by its name or id.
    /// - Parameter publicKey: the line of a `.pub` file; of the key that the SSH client is going to show.
    public func ssh(environment: String, publicKey: String) async throws -> WebSocket {
        try await webSocket(.sshConnect, ["environmentId": environment], [("publicKey", publicKey)])
    }

    /// The WebSocket of a route, for bytes as they come.
    func webSocket(_ id: RouteID, _ path: [String: String], _ query: [(String, String)]) async throws -> WebSocket {
        guard let route = RouteTable.route(id) else {
            throw BerthError(.internal, "there is no route \(id.rawValue)")
        }
        let target = Self.target(route, path, query)
        var headers = HTTPHeaders()
        if let key { headers.set("authorization", "Bearer \(key.reveal())") }
        var configuration = WebSocketConfiguration()
        configuration.writeStallLimit = nil
        configuration.compression = nil
        return try await asking(repeats: true) { [headers, configuration] base in
            try await http.webSocket(
                HTTPURL(endpoint: base.endpoint, target: target),
                headers: headers,
                configuration: configuration,
                refused: { try await Self.error($0) }
            )
        }
    }

    public func close() async { await http.close() }

    private func fetch(
        _ route: RouteID,
        _ path: [String: String],
        _ query: [(String, String)],
        body: [UInt8]? = nil,
        idempotencyKey: String? = nil
    ) async throws -> [UInt8] {
        var headers = HTTPHeaders()
        if let idempotencyKey { headers.set("idempotency-key", idempotencyKey) }
        let response = try await send(route, path, query, body: body, headers: headers)
        return try await response.body.collect(upTo: 64 << 20)
    }

    func send(
        _ id: RouteID,
        _ path: [String: String],
        _ query: [(String, String)],
        body: [UInt8]? = nil,
        stream: HTTPClientRequest.Body? = nil,
        headers: HTTPHeaders = HTTPHeaders()
    ) async throws -> HTTPClientResponse {
        guard let route = RouteTable.route(id) else { throw BerthError(.internal, "there is no route \(id.rawValue)") }
        var headers = headers
        if let key { headers.set("authorization", "Bearer \(key.reveal())") }
        if stream != nil { headers.set("content-type", "application/octet-stream") }
        if body != nil { headers.set("content-type", "application/json") }
        let target = Self.target(route, path, query)
        let method = HTTPMethod(rawValue: route.method.rawValue)
        let isRepeatable = stream == nil && (method.isIdempotent || headers.contains("idempotency-key"))
        let response: HTTPClientResponse
        do {
            response = try await asking(repeats: isRepeatable) { [headers] base in
                try await http.send(
                    HTTPClientRequest(
                        method,
                        HTTPURL(endpoint: base.endpoint, target: target),
                        headers: headers,
                        body: body.map { .bytes($0) } ?? stream ?? .none
                    )
                )
            }
        } catch let error as BerthError where error.code == .network {
            throw BerthError(
                .unavailable,
                "no server answers on \(servers.current.url.endpoint): \(error.message)",
                remedy: "start one with 'berth serve' (or scripts/start), or name one with --server URL",
                isRetryable: true
            )
        } catch var error as BerthError where error.code == .certificate {
            // How it is said here: the settings of the CLI.
            if error.remedy?.contains("sha256/") == true || error.remedy?.contains("authority") == true {
                error.remedy = (error.remedy ?? "") + "; BERTH_CA_FILE names such a file, BERTH_SERVER_PIN such a key"
            }
            throw error
        }
        guard (200..<300).contains(response.status) else { throw try await Self.error(response) }
        return response
    }

    /// Asks the server of the moment; where that does not answer, each of the others once.
    /// - Parameter repeats: whether asking twice does no harm. Otherwise the next call goes to another server.
    private func asking<Answer>(repeats: Bool, _ body: (HTTPURL) async throws -> Answer) async throws -> Answer {
        var left = servers.count
        while true {
            let server = servers.current
            do {
                return try await body(server.url)
            } catch let error as BerthError where error.code == .network {
                servers.leave(server.number)
                left -= 1
                guard repeats, left > 0 else { throw error }
            }
        }
    }

    /// The server broke off, or has no time: the next call goes to another one.
    func leaveServer() { servers.leave(servers.current.number) }

    private static func error(_ response: HTTPClientResponse) async throws -> BerthError {
        let bytes = try await response.body.collect(upTo: 1 << 20)
        if let problem = try? JSONBody.decode(Problem.self, from: bytes) { return problem.error }
        return BerthError(
            response.status >= 500 ? .unavailable : .protocolViolation,
            "the server answered with status \(response.status) and no explanation",
            remedy: response.status >= 500
                ? nil : "see whether the address is a Berth server's; one that speaks TLS begins with https://",
            isRetryable: response.status >= 500
        )
    }

    private static func target(_ route: Route, _ path: [String: String], _ query: [(String, String)]) -> String {
        var target = ""
        for segment in route.segments {
            switch segment {
            case .literal(let text): target += "/" + text
            case .parameter(let name): target += "/" + PercentEncoding.encode(path[name] ?? "")
            }
        }
        let pairs = query.map { PercentEncoding.encode($0.0) + "=" + PercentEncoding.encode($0.1) }
        return pairs.isEmpty ? target : target + "?" + pairs.joined(separator: "&")
    }
}
