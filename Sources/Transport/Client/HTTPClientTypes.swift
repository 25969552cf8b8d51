public import OpenSSL

public struct HTTPClientRequest: Sendable {
    public enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Written while the server takes it; `length` if known. Never sent twice.
        case stream(length: Int?, @Sendable (BodyWriter) async throws -> Void)

        var isRepeatable: Bool {
            if case .stream = self { false } else { true }
        }
    }

    public var method: HTTPMethod
    public var url: HTTPURL
    public var headers: HTTPHeaders
    public var body: Body
    /// From the last byte of the request to the end of the response's head; nil takes the client's.
    public var headTimeout: Duration?
    /// From the call to the last byte of the response's body, redirects and retries included; nil: for ever.
    public var timeout: Duration?

    public init(
        _ method: HTTPMethod = .get,
        _ url: HTTPURL,
        headers: HTTPHeaders = HTTPHeaders(),
        body: Body = .none,
        headTimeout: Duration? = nil,
        timeout: Duration? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.headTimeout = headTimeout
        self.timeout = timeout
    }

    /// Whether sending it twice is the same as sending it once: by its method, or because the server knows it again.
    var isRepeatable: Bool { body.isRepeatable && (method.isIdempotent || headers.contains("idempotency-key")) }
}

/// A response whose head has come in. Read the body to its end, or drop the response: then its connection closes.
public struct HTTPClientResponse: Sendable {
    public let status: Int
    public let headers: HTTPHeaders
    public let body: IncomingBody
    /// Where it came from: another place than was asked, after a redirect.
    public internal(set) var url: HTTPURL
}

/// Limits and deadlines of a client.
public struct HTTPClientConfiguration: Sendable {
    /// From a host's name to its addresses.
    public var lookUpTimeout = Duration.seconds(10)
    /// Until one of the addresses has answered.
    public var connectTimeout = Duration.seconds(10)
    /// The handshake; with a proxy also its answer to CONNECT.
    public var tlsTimeout = Duration.seconds(10)
    public var headTimeout = Duration.seconds(60)
    /// Between two pieces of a response's body; nil: for ever (event streams).
    public var bodyTimeout: Duration? = .seconds(60)
    /// Longest time the server may take no byte.
    public var writeTimeout = Duration.seconds(60)
    /// How long an unused connection is kept; less than servers usually do.
    public var idleTimeout = Duration.seconds(50)
    /// Connections to one endpoint that are open for requests (WebSockets and raw streams do not count); more requests
    /// wait for one of them.
    public var maximumPerEndpoint = 1024
    public var maximumIdlePerEndpoint = 32
    /// How long a request waits for a connection while as many as may be are in use.
    public var queueTimeout = Duration.seconds(60)
    public var maximumHeadBytes = 64 * 1024
    /// Redirects that are followed for one request; with 0 they are ordinary responses.
    public var maximumRedirects = 10
    public var retries = HTTPRetries.none
    /// Asks for gzip and expands it on the way in, unless a request says itself what it accepts.
    public var decompresses = true
    public var webSocket = WebSocketConfiguration()
    /// Whom to believe on `https` and `wss`. Read only when the first such connection is made.
    public var trust = TLSTrust.system
    public var proxy: HTTPProxy?

    public init() {}
}
