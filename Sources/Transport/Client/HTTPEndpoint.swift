public import Base
internal import EventLoop

/// Where a client connects to. Connections are kept and shared per endpoint.
public struct HTTPEndpoint: Sendable, Hashable {
    enum Place: Hashable {
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    let place: Place
    let isSecure: Bool

    public static func tcp(host: String, port: Int, secure: Bool = false) -> HTTPEndpoint {
        HTTPEndpoint(place: .tcp(host: host, port: port), isSecure: secure)
    }

    public static func unix(_ path: String) -> HTTPEndpoint { HTTPEndpoint(place: .unix(path: path), isSecure: false) }

    /// On this machine.
    public var isLocal: Bool {
        switch place {
        case .unix: true
        case .tcp(let host, let port):
            host.lowercased() == "localhost" || SocketAddress(numericHost: host, port: port)?.isLoopback == true
        }
    }

    /// The name whose certificate is expected.
    var serverName: String {
        switch place {
        case .tcp(let host, _): host
        case .unix: "localhost"
        }
    }

    /// The value of the `host` field.
    var authority: String {
        switch place {
        case .unix: return "localhost"
        case .tcp(let host, let port):
            let name = host.contains(":") ? "[\(host)]" : host
            return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
        }
    }

    public var description: String {
        switch place {
        case .unix(let path): "unix:\(path)"
        case .tcp: "\(isSecure ? "https" : "http")://\(authority)"
        }
    }
}

/// An absolute URL, taken apart: `http`, `https`, `ws`, `wss`, and `unix:/path/to.sock` (whose target is `/` until it
/// is replaced) or `http+unix://%2Fpath%2Fto.sock/target`.
public struct HTTPURL: Sendable, Hashable {
    public var endpoint: HTTPEndpoint
    /// Path and query as they go onto the wire; begins with `/`.
    public var target: String

    public init(endpoint: HTTPEndpoint, target: String = "/") {
        self.endpoint = endpoint
        self.target = target
    }

    public init(_ text: String) throws(BerthError) {
        if text.hasPrefix("unix:") {
            self.init(endpoint: .unix(String(text.dropFirst(5).trimmingSlashes())))
            return
        }
        guard let separator = text.range(ofText: "://") else { throw Self.invalid(text) }
        let scheme = text[..<separator.lowerBound].lowercased()
        let rest = text[separator.upperBound...].prefix { $0 != "#" }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let tail = String(rest.dropFirst(authority.count))
        let target = tail.hasPrefix("/") ? tail : "/" + tail
        guard target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw Self.invalid(text) }
        switch scheme {
        case "http", "https", "ws", "wss":
            let secure = scheme == "https" || scheme == "wss"
            guard let (host, port) = Self.split(authority, defaultPort: secure ? 443 : 80) else {
                throw Self.invalid(text)
            }
            self.init(endpoint: .tcp(host: host, port: port, secure: secure), target: target)
        case "http+unix", "ws+unix":
            guard let path = PercentEncoding.decode(authority), path.hasPrefix("/") else { throw Self.invalid(text) }
            self.init(endpoint: .unix(path), target: target)
        default: throw Self.invalid(text)
        }
    }

    private static func invalid(_ text: String) -> BerthError {
        BerthError(
            .invalidValue,
            "'\(text.prefix(200))' is not a URL that Berth can connect to",
            remedy: "use http://, https://, ws://, wss:// with a host, or unix:/path/to.sock"
        )
    }

    private static func split(_ authority: Substring, defaultPort: Int) -> (String, Int)? {
        guard !authority.contains("@"), RequestRules.isHost(String(authority)) else { return nil }
        var host = authority
        var port = defaultPort
        if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
            host = authority[..<colon]
            let digits = authority[authority.index(after: colon)...]
            if !digits.isEmpty {
                guard let number = UInt16(digits) else { return nil }
                port = Int(number)
            }
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return host.isEmpty ? nil : (String(host), port)
    }
}

extension HTTPEndpoint: CustomStringConvertible {}

extension Substring {
    /// `//path` and `/path` are the same file.
    fileprivate func trimmingSlashes() -> Substring {
        var rest = self
        while rest.hasPrefix("//") { rest = rest.dropFirst() }
        return rest
    }
}

extension String {
    fileprivate func range(ofText text: String) -> Range<String.Index>? {
        guard let first = text.first else { return nil }
        var start = startIndex
        while let candidate = self[start...].firstIndex(of: first) {
            if self[candidate...].hasPrefix(text) { return candidate..<index(candidate, offsetBy: text.count) }
            start = index(after: candidate)
        }
        return nil
    }
}
