public import OpenSSL

public struct HTTPClientRequest: Sendable {
    public enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Written while the server takes it; `length` if known. Never sent twice.
        case stream(length: Int?, @Sendable (BodyWriter) async throws -> Void)
    }

    public var method: HTTPMethod
    public var url: HTTPURL
    public var headers: HTTPHeaders
    public var body: Body
    /// From the last byte of the request to the end of the response's head; nil takes the client's.
    public var headTimeout: Duration?

    public init(
        _ method: HTTPMethod = .get,
        _ url: HTTPURL,
        headers: HTTPHeaders = HTTPHeaders(),
        body: Body = .none,
        headTimeout: Duration? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.headTimeout = headTimeout
    }
}

/// A response whose head has come in. Read the body to its end, or drop the response: then its connection closes.
public struct HTTPClientResponse: Sendable {
    public let status: Int
    public let headers: HTTPHeaders
    public let body: IncomingBody
}

/// Limits and deadlines of a client.
public struct HTTPClientConfiguration: Sendable {
    public var connectTimeout = Duration.seconds(10)
    public var headTimeout = Duration.seconds(60)
    /// Between two pieces of a response's body; nil: for ever (event streams).
    public var bodyTimeout: Duration? = .seconds(60)
    /// Longest time the server may take no byte.
    public var writeTimeout = Duration.seconds(60)
    /// How long an unused connection is kept; less than servers usually do.
    public var idleTimeout = Duration.seconds(50)
    public var maximumIdlePerEndpoint = 32
    public var maximumHeadBytes = 64 * 1024
    public var webSocket = WebSocketConfiguration()
    /// Whom to believe on `https` and `wss`. Read only when the first such connection is made.
    public var trust = TLSTrust.system
    public var proxy: HTTPProxy?

    public init() {}
}
