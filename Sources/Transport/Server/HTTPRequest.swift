public import Base
public import EventLoop

/// A request whose head has been read and found in order. Its body may still be coming in. A class, because it is handed
/// on many times and never changed.
public final class HTTPRequest: Sendable {
    public let id: RequestID
    public let method: HTTPMethod
    /// Still percent-encoded, begins with `/` (or is `*`).
    public let path: String
    /// What follows the `?`, still percent-encoded; empty if there is none.
    public let rawQuery: String
    public let headers: HTTPHeaders
    public let body: IncomingBody
    /// The client; where a trusted proxy speaks for it, its own address.
    public let peer: HTTPPeer
    /// ``peer`` as text, for logs.
    public let peerName: String
    /// Whether the client spoke TLS, to this server or to a trusted proxy.
    public let isSecure: Bool
    /// The loop that the handler runs on; its `time` is the clock for deadlines.
    public let loop: EventLoop
    /// Whether the server compresses for who asks for it.
    let compresses: Bool

    init(
        id: RequestID,
        method: HTTPMethod,
        path: String,
        rawQuery: String,
        headers: HTTPHeaders,
        body: IncomingBody,
        peer: HTTPPeer,
        peerName: String,
        isSecure: Bool,
        loop: EventLoop,
        compresses: Bool
    ) {
        self.id = id
        self.method = method
        self.path = path
        self.rawQuery = rawQuery
        self.headers = headers
        self.body = body
        self.peer = peer
        self.peerName = peerName
        self.isSecure = isSecure
        self.loop = loop
        self.compresses = compresses
    }

    /// The parts between the slashes, percent-decoded. `/` has none; a slash at the end adds an empty one.
    public var segments: [String] {
        path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            .map { PercentEncoding.decode($0) ?? "" }
            .trimmingRoot()
    }

    /// The parameters in order, decoded (`+` is a space). Throws `invalidValue` with the name of the first one whose
    /// escapes are broken or do not stand for UTF-8.
    public var query: [(name: String, value: String)] {
        get throws(BerthError) {
            var members: [(name: String, value: String)] = []
            for pair in rawQuery.split(separator: "&") {
                let (name, value) = Self.parts(pair)
                guard let decoded = PercentEncoding.decode(name, plusIsSpace: true) else {
                    throw Self.brokenEscapes("a parameter's name", field: String(name.prefix(80)))
                }
                guard let value = PercentEncoding.decode(value, plusIsSpace: true) else {
                    throw Self.brokenEscapes("the value", field: decoded)
                }
                members.append((decoded, value))
            }
            return members
        }
    }

    /// The value of the first parameter of this name; nil also for one that ``query`` refuses.
    public func queryValue(_ name: String) -> String? {
        for pair in rawQuery.split(separator: "&") {
            let parts = Self.parts(pair)
            guard PercentEncoding.decode(parts.name, plusIsSpace: true) == name else { continue }
            return PercentEncoding.decode(parts.value, plusIsSpace: true)
        }
        return nil
    }

    private static func parts(_ pair: Substring) -> (name: Substring, value: Substring) {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (parts[0], parts.count > 1 ? parts[1] : "")
    }

    /// What is said of `what` when it cannot be decoded.
    public static func brokenEscapes(_ what: String, field: String) -> BerthError {
        BerthError(
            .invalidValue,
            "\(what) is not percent-encoded text, which is UTF-8 without NUL",
            field: field,
            remedy: "write each byte that is no letter, digit or one of '-._~' as '%' and two hexadecimal digits"
        )
    }

    /// A WebSocket handshake that a `.webSocket` response can accept.
    public var asksForWebSocket: Bool { WebSocketHandshake.key(of: self) != nil }
}

extension [String] {
    fileprivate func trimmingRoot() -> [String] { self == [""] ? [] : self }
}

/// Who is at the other end.
public enum HTTPPeer: Sendable, CustomStringConvertible {
    case tcp(SocketAddress)
    /// From the kernel, so it can be trusted; nil if the kernel does not say.
    case unix(userID: UInt32?, processID: Int32?)

    public var description: String {
        switch self {
        case .tcp(let address): address.description
        case .unix(let userID, let processID):
            "unix:" + (userID.map { "uid=\($0)" } ?? "") + (processID.map { ",pid=\($0)" } ?? "")
        }
    }
}
