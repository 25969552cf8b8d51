import Base
import EventLoop
import Glibc
import Transport

/// Which addresses a name on an allow-list may have: those of the public internet that are not this machine's own.
struct EgressReach: Sendable {
    /// What is not the public internet (RFC 6890), metadata services of clouds among it.
    private static let reserved = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
        "240.0.0.0/4",
        // Of IPv6, what lies within 2000::/3 and stands for an IPv4 address or for nobody.
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    ].compactMap { AddressRange($0) }
    private static let globalUnicast = AddressRange("2000::/3")

    /// Private addresses that an administrator lets allow-lists reach.
    private let exceptions: [AddressRange]

    init(exceptions: [AddressRange] = []) { self.exceptions = exceptions }

    func allows(_ address: SocketAddress) -> Bool {
        let address = address.unmapped
        if exceptions.contains(where: { $0.contains(address) }) { return true }
        switch address.family {
        case .unix: return false
        case .ipv6: guard Self.globalUnicast?.contains(address) == true else { return false }
        case .ipv4: break
        }
        return !Self.reserved.contains { $0.contains(address) } && !Self.own().contains { $0.contains(address) }
    }

    /// This machine's addresses as they are now.
    private static func own() -> [AddressRange] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [AddressRange] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr else { continue }
            let size =
                address.pointee.sa_family == AF_INET6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
            guard [AF_INET, AF_INET6].contains(Int32(address.pointee.sa_family)) else { continue }
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            guard
                getnameinfo(address, socklen_t(size), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
            else { continue }
            let name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if let range = AddressRange(name.prefix { $0 != "%" }) { found.append(range) }
        }
        return found
    }
}
