public import Base
internal import FoundationEssentials

/// The proxies a client goes through, as the usual variables name them.
public struct HTTPProxy: Sendable {
    struct Server: Sendable {
        let endpoint: HTTPEndpoint
        /// The value of `proxy-authorization`.
        let authorization: Secret<String>?
    }

    /// How an endpoint is reached.
    enum Route {
        case direct
        /// Plain requests, with their whole URL as target.
        case forward(Server)
        /// A connection through the proxy, made with CONNECT.
        case tunnel(Server)
    }

    private let plain: Server?
    private let secure: Server?
    private let exceptions: [String]

    /// Reads `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower case or (but for `http_proxy`, which a
    /// CGI client could set) in capitals. nil if none of them names a proxy.
    public init?(environment: [String: String]) throws(BerthError) {
        func value(_ name: String) -> String? {
            let text = environment[name] ?? (name == "http_proxy" ? nil : environment[name.uppercased()])
            return text.flatMap { $0.isEmpty ? nil : $0 }
        }
        plain = try Self.server(value("http_proxy") ?? value("all_proxy"))
        secure = try Self.server(value("https_proxy") ?? value("all_proxy"))
        if plain == nil, secure == nil { return nil }
        exceptions = (value("no_proxy") ?? "").split(separator: ",").map { $0.trimmed.lowercased() }
    }

    private static func server(_ text: String?) throws(BerthError) -> Server? {
        guard var text else { return nil }
        if !text.contains("://") { text = "http://" + text }
        guard text.hasPrefix("http://") else {
            throw BerthError(
                .unsupported,
                "a proxy must be reached by http",
                remedy: "write http_proxy and https_proxy as http://host:port"
            )
        }
        let rest = text.dropFirst(7)
        let authority = rest.prefix { $0 != "/" }
        var authorization: Secret<String>?
        var host = authority
        if let at = authority.lastIndex(of: "@") {
            let login = PercentEncoding.decode(authority[..<at]) ?? ""
            authorization = Secret("Basic " + Data(login.utf8).base64EncodedString())
            host = authority[authority.index(after: at)...]
        }
        return Server(endpoint: try HTTPURL("http://\(host)/").endpoint, authorization: authorization)
    }

    func route(to endpoint: HTTPEndpoint) -> Route {
        guard case .tcp(let host, _) = endpoint.place, !isException(host.lowercased()) else { return .direct }
        if endpoint.isSecure { return secure.map(Route.tunnel) ?? .direct }
        return plain.map(Route.forward) ?? .direct
    }

    /// A name in `no_proxy` stands for itself and everything below it; loopback never goes through a proxy.
    private func isException(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" || host.hasPrefix("127.") { return true }
        return exceptions.contains { exception in
            let name = exception.hasPrefix(".") ? String(exception.dropFirst()) : exception
            return exception == "*" || host == name || host.hasSuffix("." + name)
        }
    }
}
