internal import Base
internal import EventLoop

/// The hosts of `no_proxy`: names that stand for themselves and all below them, addresses, networks as
/// `10.0.0.0/8` or `fd00::/8`, each with `:port` where only that port is meant, and `*` for every host. Pure.
struct ProxyExceptions: Sendable {
    private enum Rule {
        case everything
        case name(String, port: Int?)
        case network([UInt8], bits: Int, port: Int?)
    }

    private let rules: [Rule]

    init(_ text: String) { rules = text.split(whereSeparator: { $0 == "," || $0 == " " }).compactMap(Self.rule) }

    /// Loopback never goes through a proxy: there it would be another machine.
    func contain(host: String, port: Int) -> Bool {
        let name = (host.hasSuffix(".") ? String(host.dropLast()) : host).lowercased()
        let address = SocketAddress(numericHost: name, port: 0)
        if name == "localhost" || name.hasSuffix(".localhost") || address?.isLoopback == true { return true }
        return rules.contains { rule in
            switch rule {
            case .everything: true
            case .name(let other, let only):
                (only == nil || only == port) && (name == other || name.hasSuffix("." + other))
            case .network(let prefix, let bits, let only):
                (only == nil || only == port) && address.map { Self.isWithin($0.bytes, prefix, bits) } == true
            }
        }
    }

    private static func rule(_ text: Substring) -> Rule? {
        var text = String(text).trimmed.lowercased()
        if text == "*" { return .everything }
        if let slash = text.firstIndex(of: "/") {
            guard let base = SocketAddress(numericHost: String(text[..<slash]), port: 0),
                let bits = Int(text[text.index(after: slash)...]), (0...base.bytes.count * 8).contains(bits)
            else { return nil }
            return .network(base.bytes, bits: bits, port: nil)
        }
        if let address = SocketAddress(numericHost: text, port: 0) {
            return .network(address.bytes, bits: address.bytes.count * 8, port: nil)
        }
        var port: Int?
        if let colon = text.lastIndex(of: ":"), let number = Int(text[text.index(after: colon)...]) {
            port = number
            text = String(text[..<colon])
            if let address = SocketAddress(numericHost: text, port: 0) {
                return .network(address.bytes, bits: address.bytes.count * 8, port: port)
            }
        }
        if text.hasPrefix("*.") { text.removeFirst(2) }
        if text.hasPrefix(".") { text.removeFirst() }
        return text.isEmpty ? nil : .name(text, port: port)
    }

    private static func isWithin(_ address: [UInt8], _ prefix: [UInt8], _ bits: Int) -> Bool {
        guard address.count == prefix.count else { return false }
        for index in 0..<address.count {
            let left = bits - index * 8
            if left <= 0 { return true }
            let mask: UInt8 = left >= 8 ? 0xFF : ~(0xFF >> UInt8(left))
            if (address[index] ^ prefix[index]) & mask != 0 { return false }
        }
        return true
    }
}
