internal import Base

/// `/etc/resolv.conf` (resolv.conf(5)), as far as it matters to looking up addresses. Pure.
public struct ResolverConfiguration: Sendable, Equatable {
    /// Numeric addresses in order, at most three.
    public var servers: [String] = []
    /// Domains that short names are tried in, at most six.
    public var search: [DNSName] = []
    /// A name with so many dots is tried as it is first.
    public var dots = 1
    /// Seconds for one try of one server.
    public var timeout = 5
    /// Rounds through all servers.
    public var attempts = 2
    public var usesTCP = false

    public init(_ text: String) {
        for line in text.utf8.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            let words = line.prefix { $0 != UInt8(ascii: "#") && $0 != UInt8(ascii: ";") }
                .split(whereSeparator: { $0 == 0x20 || $0 == 0x09 })
                .map { String(decoding: $0, as: UTF8.self) }
            guard let keyword = words.first else { continue }
            switch keyword {
            case "nameserver" where words.count > 1 && servers.count < 3: servers.append(words[1])
            case "search": search = Array(words.dropFirst().compactMap { DNSName($0) }.prefix(6))
            case "domain": search = Array(words.dropFirst().compactMap { DNSName($0) }.prefix(1))
            case "options": for option in words.dropFirst() { set(option) }
            default: continue
            }
        }
        if servers.isEmpty { servers = ["127.0.0.1"] }
    }

    private mutating func set(_ option: String) {
        func number(_ name: String, _ range: ClosedRange<Int>) -> Int? {
            guard option.hasPrefix(name + ":"), let value = Int(option.dropFirst(name.count + 1)) else { return nil }
            return min(max(value, range.lowerBound), range.upperBound)
        }
        if let value = number("ndots", 0...15) { dots = value }
        if let value = number("timeout", 1...30) { timeout = value }
        if let value = number("attempts", 1...5) { attempts = value }
        if option == "use-vc" { usesTCP = true }
    }

    /// The names to ask for in turn. A final dot says that a name is whole.
    public func candidates(for host: String) -> [DNSName] {
        guard let own = DNSName(host) else { return [] }
        if host.hasSuffix(".") { return [own] }
        let others = search.map { DNSName(labels: own.labels + $0.labels) }
            .filter { $0.description.utf8.count <= 253 }
        return own.labels.count - 1 >= dots ? [own] + others : others + [own]
    }
}
