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
        isSecure: Bool,
        loop: EventLoop
    ) {
        self.id = id
        self.method = method
        self.path = path
        self.rawQuery = rawQuery
        self.headers = headers
        self.body = body
        self.peer = peer
        self.isSecure = isSecure
        self.loop = loop
    }

    /// The parts between the slashes, percent-decoded. `/` has none; a slash at the end adds an empty one.
    public var segments: [String] {
        path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            .map { PercentEncoding.decode($0) ?? "" }
            .trimmingRoot()
    }

    /// The parameters in order, decoded (`+` is a space); broken escapes are taken as they are.
    public var query: [(name: String, value: String)] {
        rawQuery.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = PercentEncoding.decode(parts[0], plusIsSpace: true) ?? String(parts[0])
            let value = parts.count > 1 ? parts[1] : ""
            return (name, PercentEncoding.decode(value, plusIsSpace: true) ?? String(value))
        }
    }

    public func queryValue(_ name: String) -> String? {
        rawQuery.isEmpty ? nil : query.first { $0.name == name }?.value
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
