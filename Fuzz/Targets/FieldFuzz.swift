import EventLoop

@testable import Transport

/// Fields that carry lists. Whatever a client writes into the field in which a proxy names it, what the proxy appended
/// behind it stands.
enum FieldFuzz {
    private static let appended: [(field: ProxyField, text: String, address: String)] = [
        (.xForwardedFor, "203.0.113.9", "203.0.113.9"),
        (.xForwardedFor, "2001:db8::9", "2001:db8::9"),
        (.forwarded, "for=203.0.113.9", "203.0.113.9"),
        (.forwarded, #"for="[2001:db8::9]:443";proto=https"#, "2001:db8::9"),
        (.forwarded, #"by="[::1]";host="a";for="203.0.113.9:80""#, "203.0.113.9"),
    ]

    static func run(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        for (field, own, address) in appended {
            let headers = HTTPHeaders([(field.rawValue, "\(text), \(own)")])
            let client = ForwardedClient(headers, field: field) { _ in false }
            Fuzz.check(
                client?.address.host == address,
                "\(headers[field.rawValue] ?? "") comes from \(client?.address.host ?? "nobody")"
            )
        }
        for member in FieldList.members(text) {
            Fuzz.check(!member.isEmpty && FieldList.trimmed(member) == member, "'\(member)' is no member")
            _ = FieldList.unquoted(member)
        }
        guard let range = AddressRange(text) else { return }
        for host in ["127.0.0.1", "::ffff:10.0.0.1", "2001:db8::1"] {
            if let address = SocketAddress(numericHost: host, port: 1) { _ = range.contains(address) }
        }
    }
}
