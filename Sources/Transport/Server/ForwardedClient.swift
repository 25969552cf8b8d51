internal import EventLoop

/// The field in which a trusted proxy names the client it speaks for.
public enum ProxyField: String, Sendable, CaseIterable {
    /// RFC 7239.
    case forwarded
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    case xForwardedFor = "x-forwarded-for"
}

/// The client behind proxies. Each proxy adds the address it was asked from at the right, so the rightmost address that
/// is not a trusted proxy's is the last one that anybody vouches for; what stands left of it anyone may have written.
struct ForwardedClient: Equatable {
    var address: SocketAddress
    /// How that client spoke to the first trusted proxy; nil where none says so.
    var isSecure: Bool?

    /// nil where the field is missing or its last entry is no address (RFC 7239's `unknown` and `_name`).
    init?(_ headers: HTTPHeaders, field: ProxyField, isTrusted: (SocketAddress) -> Bool) {
        let hops =
            switch field {
            case .forwarded: Self.forwarded(headers)
            case .xForwardedFor: Self.xForwardedFor(headers)
            }
        var found: ForwardedClient?
        for hop in hops.reversed() {
            guard let address = Self.address(hop.address) else { break }
            found = ForwardedClient(address: address, isSecure: hop.scheme.map { $0 == "https" } ?? found?.isSecure)
            guard isTrusted(address) else { break }
        }
        guard let found else { return nil }
        self = found
    }

    private init(address: SocketAddress, isSecure: Bool?) {
        self.address = address
        self.isSecure = isSecure
    }

    private struct Hop {
        var address: Substring
        var scheme: String?
    }

    private static func xForwardedFor(_ headers: HTTPHeaders) -> [Hop] {
        let addresses = headers.values("x-forwarded-for").flatMap { FieldList.members($0) }
        let schemes = headers.tokens("x-forwarded-proto")
        // One scheme for each address, or one for the whole way.
        return addresses.enumerated().map { index, address in
            Hop(address: address, scheme: schemes.count == addresses.count ? schemes[index] : schemes.last)
        }
    }

    private static func forwarded(_ headers: HTTPHeaders) -> [Hop] {
        headers.values("forwarded").flatMap { FieldList.members($0) }.map { element in
            var hop = Hop(address: "")
            for pair in FieldList.members(element, separator: UInt8(ascii: ";")) {
                guard let equals = pair.utf8.firstIndex(of: UInt8(ascii: "=")) else { continue }
                let value = FieldList.unquoted(pair[pair.utf8.index(after: equals)...])
                switch pair[..<equals].lowercased() {
                case "for": hop.address = value
                case "proto": hop.scheme = value.lowercased()
                default: continue
                }
            }
            return hop
        }
    }

    /// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.
    private static func address(_ text: Substring) -> SocketAddress? {
        if let address = SocketAddress(numericHost: String(text), port: 0) { return address.unmapped }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        return SocketAddress(numericHost: String(text[..<colon]), port: Int(port))?.unmapped
    }
}
