import Base
import Transport

extension Configuration {
    /// The addresses of `listen`, in order; the first is where the CLI finds the server.
    func listenAddresses() throws(BerthError) -> [ListenAddress] {
        var addresses: [ListenAddress] = []
        for part in (text("listen") ?? "").split(separator: ",") {
            let address = try listenAddress(part.trimmed)
            guard !addresses.contains(address) else {
                throw BerthError(.invalidValue, "'\(part.trimmed)' stands there twice", field: "listen")
            }
            addresses.append(address)
        }
        guard !addresses.isEmpty else { throw unfit("") }
        return addresses
    }

    private func listenAddress(_ text: String) throws(BerthError) -> ListenAddress {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard path.hasPrefix("/") else { throw unfit(text) }
            return .unix(path: path, mode: 0o600)
        }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { throw unfit(text) }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw unfit(text)
        }
        return .tcp(host: host.isEmpty ? "0.0.0.0" : String(host), port: port)
    }

    private func unfit(_ text: String) -> BerthError {
        BerthError(
            .invalidValue,
            "'\(text)' from \(source(of: "listen")) is no address to listen on",
            field: "listen",
            remedy: "write it like 127.0.0.1:7410, [::]:7410 or unix:/run/berth.sock; several with commas"
        )
    }

    /// Limits, deadlines and whom to believe.
    func limits() throws(BerthError) -> HTTPServerConfiguration {
        var http = HTTPServerConfiguration()
        // Above our own limit, so that what is too long is answered with a problem and not cut off.
        // Uploads are read in pieces under a limit of their own; every other route has one in front of its decoder.
        http.maximumBodyBytes = max(maximumBodyBytes * 4, Int(maximumUploadBytes) + 1)
        http.maximumConnections = maximumConnections
        http.maximumConnectionsPerClient = Int(integer("maxConnectionsPerClient"))
        http.maximumConnectionsFromLoopback = Int(integer("maxConnectionsFromLoopback"))
        http.maximumHeadBytes = Int(integer("maxHeaderBytes"))
        http.maximumTargetBytes = http.maximumHeadBytes / 2
        http.maximumFields = Int(integer("maxHeaders"))
        http.headTimeout = .milliseconds(integer("headTimeoutMs"))
        http.bodyTimeout = .milliseconds(integer("bodyTimeoutMs"))
        http.writeTimeout = .milliseconds(integer("writeTimeoutMs"))
        http.idleTimeout = .milliseconds(integer("idleTimeoutMs"))
        http.minimumBytes = Int(integer("minProgressBytes"))
        http.compresses = text("compress") != "false"
        http.trustedProxies = try trustedProxies()
        http.proxyField = text("proxyHeader").flatMap { ProxyField(rawValue: $0) } ?? .xForwardedFor
        return http
    }

    private func trustedProxies() throws(BerthError) -> [AddressRange] {
        var ranges: [AddressRange] = []
        for part in (text("trustedProxies") ?? "").split(separator: ",") {
            guard let range = AddressRange(part.trimmed) else {
                throw BerthError(
                    .invalidValue,
                    "'\(part.trimmed.prefix(80))' from \(source(of: "trustedProxies")) is no address or network",
                    field: "trustedProxies",
                    remedy: "write it like 10.0.0.0/8, 192.0.2.7, 2001:db8::/32 or unix"
                )
            }
            ranges.append(range)
        }
        return ranges
    }
}
