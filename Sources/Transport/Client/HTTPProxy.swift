internal import Base
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

    /// A proxy that cannot be used is an error only for what would go through it.
    private typealias Choice = Result<Server, BerthError>

    private let plain: Choice?
    private let secure: Choice?
    private let exceptions: ProxyExceptions

    /// Reads `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower case or in capitals; `HTTP_PROXY` not in a
    /// CGI program, whose client could set it. nil if none of them names a proxy.
    public init?(environment: [String: String]) {
        func value(_ name: String) -> (name: String, text: String)? {
            let isCGI = name == "http_proxy" && environment["REQUEST_METHOD"] != nil
            for name in isCGI ? [name] : [name, name.uppercased()] {
                if let text = environment[name], !text.isEmpty { return (name, text) }
            }
            return nil
        }
        plain = (value("http_proxy") ?? value("all_proxy")).map(Self.server)
        secure = (value("https_proxy") ?? value("all_proxy")).map(Self.server)
        if plain == nil, secure == nil { return nil }
        exceptions = ProxyExceptions(value("no_proxy")?.text ?? "")
    }

    private static func server(_ variable: (name: String, text: String)) -> Choice {
        let text = variable.text.contains("://") ? variable.text : "http://" + variable.text
        let authority = text.dropFirst(7).prefix { $0 != "/" }
        var login: Substring?
        var host = authority
        if let at = authority.lastIndex(of: "@") {
            login = authority[..<at]
            host = authority[authority.index(after: at)...]
        }
        guard text.lowercased().hasPrefix("http://"), let url = try? HTTPURL("http://\(host)/") else {
            // Not the value itself: it may hold a password.
            return .failure(
                BerthError(
                    .unsupported,
                    "the proxy that \(variable.name) names cannot be used",
                    remedy: "write it as http://host:port or http://user:password@host:port; "
                        + "proxies that are reached by https or SOCKS are not supported"
                )
            )
        }
        let authorization = login.map {
            Secret("Basic " + Data((PercentEncoding.decode($0) ?? "").utf8).base64EncodedString())
        }
        return .success(Server(endpoint: url.endpoint, authorization: authorization))
    }

    func route(to endpoint: HTTPEndpoint) throws(BerthError) -> Route {
        guard case .tcp(let host, let port) = endpoint.place, let choice = endpoint.isSecure ? secure : plain,
            !exceptions.contain(host: host, port: port)
        else { return .direct }
        return endpoint.isSecure ? .tunnel(try choice.get()) : .forward(try choice.get())
    }
}
