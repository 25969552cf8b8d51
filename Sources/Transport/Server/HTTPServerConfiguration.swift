public import Base
public import OpenSSL

/// Limits and deadlines of a server. Times count from the last sign of progress of their phase.
public struct HTTPServerConfiguration: Sendable {
    /// Request line and fields.
    public var maximumHeadBytes = 16 * 1024
    public var maximumTargetBytes = 8 * 1024
    public var maximumFields = 100
    public var maximumBodyBytes = 64 * 1024 * 1024
    /// Of all listeners and loops together; one more is answered with 503.
    public var maximumConnections = 10_000
    /// From the first byte of a head to its end.
    public var headTimeout = Duration.seconds(10)
    /// Between two pieces of a body that the handler waits for.
    public var bodyTimeout = Duration.seconds(30)
    /// Longest time the client may take no byte of a response.
    public var writeTimeout = Duration.seconds(60)
    /// Between two requests of one connection.
    public var idleTimeout = Duration.seconds(75)
    /// Quiet time after which an event stream sends a comment.
    public var eventKeepAlive = Duration.seconds(15)
    public var webSocket = WebSocketConfiguration()
    /// With it, TCP listeners speak TLS; unix sockets never do.
    public var tls: TLSIdentity?
    /// Turns what a handler threw into its answer.
    public var renderError: @Sendable (BerthError) -> HTTPResponse = { error in
        HTTPResponse.json(
            Array(
                #"{"code":\#(JSONText.quoted(error.code.rawValue)),"message":\#(JSONText.quoted(error.message))}"#.utf8
            ),
            status: error.code.httpStatus
        )
    }

    public init() {}
}

/// Where a server listens.
public enum ListenAddress: Sendable {
    /// A numeric address or a name; port 0 takes a free one.
    case tcp(host: String, port: Int)
    /// A socket file with these permissions, such as 0o600.
    case unix(path: String, mode: UInt32)
}
