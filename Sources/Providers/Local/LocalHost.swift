internal import Base
internal import Domain
internal import Glibc

/// What this machine and this user give to the sandbox, found out once.
struct LocalHost: Sendable {
    /// How ids of the inside become ids of the host.
    enum IDs: Sendable, Equatable {
        /// As root: a fixed range, by idmapped mounts.
        case shifted(base: UInt32)
        /// An ordinary user with a range in /etc/subuid and /etc/subgid: root inside is the user.
        case range(first: UInt32, count: UInt32)
        /// An ordinary user without one: `agent` inside is the user, and there is nobody else.
        case single
    }

    var ids: IDs
    var groups: ControlGroups?
    /// Path of pasta where it can be used.
    var pasta: String?
    var makesFileSystems: Bool
    var limitations: [String]

    /// Ids below this inside; the same for every map.
    static let idCount: UInt32 = 65536
    static let agentID: UInt32 = 1000

    static func probe(_ configuration: LocalConfiguration) -> LocalHost {
        let isRoot = geteuid() == 0
        let pasta = configuration.pasta.flatMap { access($0, X_OK) == 0 ? $0 : nil }
        var host = LocalHost(
            ids: isRoot ? .shifted(base: configuration.idBase) : ordinaryIDs(),
            groups: isRoot ? SmallFile.read("/proc/self/mountinfo").flatMap { ControlGroups(mountInfo: $0) } : nil,
            pasta: pasta,
            makesFileSystems: isRoot && access(mkfs, X_OK) == 0 && access("/dev/loop-control", R_OK | W_OK) == 0,
            limitations: []
        )
        if !isRoot, access("/dev/net/tun", R_OK | W_OK) != 0 { host.pasta = nil }
        host.limitations = host.describeLimitations(isRoot: isRoot, hasPasta: pasta != nil)
        return host
    }

    static let mkfs = "/usr/sbin/mke2fs"

    private func describeLimitations(isRoot: Bool, hasPasta: Bool) -> [String] {
        var limitations: [String] = []
        if ids == .single {
            limitations.append(
                "this user has no range of 65535 ids in /etc/subuid and /etc/subgid (or package uidmap is missing): inside,"
                    + " everything belongs to one user, and packages cannot be installed"
            )
        }
        if groups == nil {
            let reason = isRoot ? "this machine has no usable control groups" : "an ordinary user has no control groups"
            limitations.append(
                "\(reason): limits of memory and processors are not enforced, the number of processes is by RLIMIT_NPROC,"
                    + " and environments cannot be paused"
            )
        }
        if !makesFileSystems {
            limitations.append(
                isRoot
                    ? "mke2fs or /dev/loop-control is missing: limits of disk space are not enforced"
                    : "an ordinary user cannot mount a disk image: limits of disk space are not enforced"
            )
        }
        if pasta == nil {
            limitations.append(
                hasPasta
                    ? "this user may not open /dev/net/tun: environments have no network but loopback"
                    : "pasta (package passt) is missing: environments have no network but loopback"
            )
        }
        return limitations
    }

    private static func ordinaryIDs() -> IDs {
        guard access("/usr/bin/newuidmap", X_OK) == 0, access("/usr/bin/newgidmap", X_OK) == 0 else { return .single }
        var names = ["\(geteuid())"]
        if let name = AccountName.of(geteuid()) { names.append(name) }
        guard let uids = range(in: SmallFile.read("/etc/subuid") ?? "", of: names),
            let gids = range(in: SmallFile.read("/etc/subgid") ?? "", of: names), uids == gids
        else { return .single }
        return .range(first: uids, count: idCount - 1)
    }

    /// First id of the first range that is long enough: lines of `name:first:count` (subuid(5)).
    static func range(in text: String, of names: [String]) -> UInt32? {
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":")
            guard fields.count == 3, names.contains(String(fields[0])), let first = UInt32(fields[1]),
                let count = UInt32(fields[2]), count >= idCount - 1
            else { continue }
            return first
        }
        return nil
    }

    var capabilities: ProviderCapabilities {
        ProviderCapabilities(
            isolation: .namespaces,
            limits: groups?.enforcement ?? .rlimit,
            diskCap: makesFileSystems,
            pause: groups == nil ? .none : .freeze,
            networks: pasta == nil ? [.none] : [.none, .open],
            limitations: limitations
        )
    }
}
