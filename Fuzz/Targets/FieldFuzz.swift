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

    private static let conditionNames = [
        "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range", "accept-encoding",
    ]

    /// Conditions and ranges: whatever is asked, the part that is sent lies within what there is.
    static func conditions(_ bytes: [UInt8]) {
        var source = Source(bytes)
        let length = source.byte() & 1 == 0 ? Int64(source.number(below: 100)) : source.integer() & .max
        var headers = HTTPHeaders()
        for name in conditionNames where source.byte() & 1 == 1 {
            headers.add(name, String(decoding: source.bytes(atMost: 40), as: UTF8.self))
        }
        let representation = Selection.Representation(
            entityTag: source.byte() & 1 == 0 ? #""a,b""# : #"W/"a""#,
            lastModified: "Sun, 06 Nov 1994 08:49:37 GMT",
            length: length,
            now: 1_800_000_000
        )
        _ = ContentCoding.acceptsGzip(headers.values("accept-encoding"))
        switch Selection(headers, isGet: true, representation) {
        case .part(let part):
            Fuzz.check(
                headers.contains("range") && part.lowerBound >= 0 && !part.isEmpty && part.upperBound <= length,
                "\(part) of \(length) for \(headers.map { $0 })"
            )
        case .unsatisfiable: Fuzz.check(headers.contains("range"), "no range was asked for")
        case .preconditionFailed, .notModified:
            Fuzz.check(conditionNames.prefix(4).contains { headers.contains($0) }, "no condition was made")
        case .whole: break
        }
    }

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
