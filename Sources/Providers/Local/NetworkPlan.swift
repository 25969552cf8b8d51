internal import Base
internal import Domain
internal import Glibc

/// The network of a sandbox with the policy `open`: what stays out of reach, and where names are resolved.
enum NetworkPlan {
    /// A pair of the range that RFC 2544 keeps for benchmarks, so it collides with no real network.
    static let address = "198.18.0.2"
    /// Also answers DNS: pasta forwards queries sent here to the host's resolver, a stub on its loopback included.
    static let gateway = "198.18.0.1"

    /// Everything that is not the public internet (RFC 6890), metadata services of clouds among it.
    static let reserved = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    ]

    /// What the launcher needs for the network of the inside; nothing where loopback is all of it.
    static func add(_ network: NetworkPolicy, pasta: String?, to spec: inout LaunchSpec) {
        // Host ports need pasta too, without any route to the internet beside them.
        guard let pasta, network.kind == .open || !network.hostPorts.isEmpty else { return }
        spec.add("network", pasta, "address", address, "gateway", gateway)
        for port in network.hostPorts { spec.add("port", "\(port)") }
        if network.kind == .open {
            for prefix in unreachable() { spec.add("unreachable", prefix) }
        } else {
            spec.add("closed", "1")
        }
    }

    /// Prefixes that get an unreachable route inside; the host's addresses as they are now.
    static func unreachable() -> [String] { reserved + hostAddresses().map { $0 + "/32" } }

    /// The host's own IPv4 addresses: its services are out of reach under any of them.
    private static func hostAddresses() -> [String] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: Set<String> = []
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr, address.pointee.sa_family == AF_INET else { continue }
            let text = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { internet -> String in
                Self.text(of: internet.pointee.sin_addr)
            }
            if !text.hasPrefix("127.") { found.insert(text) }
        }
        return found.sorted()
    }

    private static func text(of address: in_addr) -> String {
        let value = UInt32(bigEndian: address.s_addr)
        return "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
    }
}
