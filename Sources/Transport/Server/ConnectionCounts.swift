internal import EventLoop
internal import Synchronization

/// Peers that count as one client: an IPv4 address, or the /64 that an IPv6 host has for itself.
struct ClientGroup: Hashable, Sendable {
    private let prefix: UInt64
    private let isVersion4: Bool
    let isLoopback: Bool

    /// nil for a unix socket, whose peers the file's permissions have let in.
    init?(_ address: SocketAddress) {
        let address = address.unmapped
        guard address.family != .unix else { return nil }
        prefix = address.bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        isVersion4 = address.family == .ipv4
        isLoopback = address.isLoopback
    }
}

/// Open connections, in all and by client, over all loops and listeners.
final class ConnectionCounts: Sendable {
    enum Admission: Equatable {
        case welcome
        /// Counted, answered with `status` and closed.
        case refused(status: Int, fault: ClientFault)
        /// Not counted: a flood gets no answer, for answers take descriptors and memory too.
        case dropped(fault: ClientFault)
    }

    private let all = Atomic<Int>(0)
    private let groups = Mutex<[ClientGroup: Int]>([:])

    var count: Int { all.load(ordering: .relaxed) }

    func admit(_ group: ClientGroup?, limit: Int, groupLimit: Int) -> Admission {
        let count = all.wrappingAdd(1, ordering: .relaxed).newValue
        let ofGroup = group.map { enter($0) } ?? 0
        if count > Self.flood(limit) || ofGroup > Self.flood(groupLimit) {
            leave(group)
            return .dropped(fault: count > Self.flood(limit) ? .manyConnections : .manyFromAddress)
        }
        if count > limit { return .refused(status: 503, fault: .manyConnections) }
        return ofGroup > groupLimit ? .refused(status: 429, fault: .manyFromAddress) : .welcome
    }

    /// A connection has ended.
    func leave(_ group: ClientGroup?) {
        all.wrappingSubtract(1, ordering: .relaxed)
        if let group { exit(group) }
    }

    /// Counts one more of `group` on a connection that is counted already, and returns how many there are.
    func enter(_ group: ClientGroup) -> Int {
        groups.withLock { groups in
            groups[group, default: 0] += 1
            return groups[group, default: 0]
        }
    }

    func exit(_ group: ClientGroup) {
        groups.withLock { groups in
            guard let count = groups[group] else { return }
            groups[group] = count > 1 ? count - 1 : nil
        }
    }

    /// Where an answer to everyone beyond the limit would itself become a burden.
    private static func flood(_ limit: Int) -> Int { limit + limit / 4 + 8 }
}
