public import Base
public import OpenSSL

/// Limits and deadlines of a server.
public struct HTTPServerConfiguration: Sendable {
    /// Request line and fields.
    public var maximumHeadBytes = 16 * 1024
    public var maximumTargetBytes = 8 * 1024
    public var maximumFields = 100
    public var maximumBodyBytes = 64 * 1024 * 1024
    /// Of all listeners and loops together; one more is answered with 503.
    public var maximumConnections = 10_000
    /// Of one client, which is an IPv4 address or an IPv6 /64; one more is answered with 429. Behind a trusted proxy its
    /// requests under way count, not the proxy's connections. Unix sockets are exempt.
    public var maximumConnectionsPerClient = 512
    /// As ``maximumConnectionsPerClient``, for this machine itself.
    public var maximumConnectionsFromLoopback = 100_000
    /// From the first byte of a head (or a connection's beginning) to the head's end, however it drips.
    public var headTimeout = Duration.seconds(10)
    /// While the server is willing to read a body, ``minimumBytes`` of it must come in each such time, or its end.
    public var bodyTimeout = Duration.seconds(30)
    /// While bytes of a response wait, the client must take ``minimumBytes`` in each such time, or all there are.
    public var writeTimeout = Duration.seconds(60)
    /// What counts as progress of a body in ``bodyTimeout`` and of a response in ``writeTimeout``.
    public var minimumBytes = 4096
    /// Between two requests of one connection.
    public var idleTimeout = Duration.seconds(75)
    /// How long a handler may leave a full buffer of its request's body untouched, or a client that waits for
    /// `100 Continue` without a word.
    public var unreadTimeout = Duration.seconds(300)
    /// What a handler has left when its client has broken the request off or shut its side: after that it is cancelled,
    /// and after as much again its connection is closed.
    public var farewellTimeout = Duration.seconds(5)
    /// Quiet time after which an event stream sends a comment.
    public var eventKeepAlive = Duration.seconds(15)
    public var webSocket = WebSocketConfiguration()
    /// Compresses text for clients that ask for gzip.
    public var compresses = true
    /// Who may say on whose behalf it asks. Empty: nobody is believed.
    public var trustedProxies: [AddressRange] = []
    /// The one field in which the trusted proxies say it; others may have come from anybody.
    public var proxyField = ProxyField.xForwardedFor
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
public enum ListenAddress: Sendable, Equatable {
    /// A numeric address or a name; port 0 takes a free one.
    case tcp(host: String, port: Int)
    /// A socket file with these permissions, such as 0o600.
    case unix(path: String, mode: UInt32)
}
