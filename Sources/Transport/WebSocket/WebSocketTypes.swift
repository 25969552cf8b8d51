/// RFC 6455, section 7.4.
public struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16

    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let normal = WebSocketCloseCode(rawValue: 1000)
    public static let goingAway = WebSocketCloseCode(rawValue: 1001)
    public static let protocolError = WebSocketCloseCode(rawValue: 1002)
    public static let unsupportedData = WebSocketCloseCode(rawValue: 1003)
    public static let invalidPayload = WebSocketCloseCode(rawValue: 1007)
    public static let policyViolation = WebSocketCloseCode(rawValue: 1008)
    public static let tooLarge = WebSocketCloseCode(rawValue: 1009)
    public static let internalError = WebSocketCloseCode(rawValue: 1011)
    public static let tryAgainLater = WebSocketCloseCode(rawValue: 1013)
    /// What the other end of a relayed connection sent was no use, or an abrupt end.
    public static let badGateway = WebSocketCloseCode(rawValue: 1014)

    var mayBeSent: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

public enum WebSocketMessage: Sendable, Equatable {
    case text(String)
    case binary([UInt8])
}

public struct WebSocketConfiguration: Sendable {
    /// A longer message closes the connection with 1009.
    public var maximumMessageBytes = 16 * 1024 * 1024
    /// Quiet time after which a ping is sent; nil: never.
    public var pingInterval: Duration? = .seconds(30)
    /// Time for any byte to come in after a ping.
    public var pongTimeout = Duration.seconds(10)
    /// Time for the peer to answer a close.
    public var closeTimeout = Duration.seconds(5)
    /// Received bytes that nobody has taken; above this the peer has to wait.
    public var inboxBytes = 256 * 1024

    public init() {}
}
