import Base
import Domain
public import EventLoop
import FoundationEssentials
import Glibc
import Providers

/// Looks at this machine: what is there, what is missing, and what cannot be enforced.
public enum Doctor {
    public struct Finding: Sendable, Encodable {
        public enum Level: String, Sendable, Encodable { case good, limited, bad }

        public var subject: String
        public var level: Level
        public var message: String
        public var remedy: String?

        init(_ subject: String, _ level: Level, _ message: String, remedy: String? = nil) {
            self.subject = subject
            self.level = level
            self.message = message
            self.remedy = remedy
        }
    }

    public static func examine(_ configuration: Configuration, loop: EventLoop) async -> [Finding] {
        var findings = [
            dataDirectory(configuration), disk(configuration), server(configuration), programs(configuration),
            userNamespaces(), subordinateIDs(), controlGroups(), network(),
        ]
        findings += certificate(configuration, now: loop.time.now)
        findings.append(await bus(configuration))
        findings.append(await docker(configuration, loop))
        findings += agents(configuration)
        findings += sandbox(configuration, loop)
        return findings
    }

    private static func dataDirectory(_ configuration: Configuration) -> Finding {
        let path = configuration.dataDirectory
        var status = stat()
        guard stat(path, &status) == 0 else {
            return Finding("data directory", .good, "\(path) will be made at the first start")
        }
        guard status.st_uid == getuid() else {
            return Finding(
                "data directory",
                .bad,
                "\(path) belongs to user \(status.st_uid)",
                remedy: "run as that user, or choose another with --data"
            )
        }
        guard status.st_mode & 0o077 == 0 else {
            return Finding(
                "data directory",
                .limited,
                "\(path) is open to others; the server closes it at its start",
                remedy: "chmod 700 \(path)"
            )
        }
        return Finding("data directory", .good, "\(path), closed to others")
    }

    private static func disk(_ configuration: Configuration) -> Finding {
        var path = configuration.dataDirectory
        while !Files.exists(path), let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            path = String(path[..<slash])
        }
        guard let free = FreeSpace.of(path) else {
            return Finding("disk", .limited, "the free space of \(path) cannot be told")
        }
        let text = "\(free >> 20) MiB free at \(path)"
        return free < 1 << 30
            ? Finding("disk", .limited, text, remedy: "environments and checkouts want at least 1 GiB")
            : Finding("disk", .good, text)
    }

    private static func server(_ configuration: Configuration) -> Finding {
        guard let address = try? ServerAddress.find(configuration) else {
            return Finding("server", .limited, "none is running", remedy: "start one with 'berth serve'")
        }
        return Finding("server", .good, "says that it answers on \(address.url)")
    }

    private static func programs(_ configuration: Configuration) -> Finding {
        let directory = Programs.directory(configuration)
        let missing = ["berth-worker", "berth-hold"].filter { !Files.isExecutable("\(directory)/\($0)") }
        return missing.isEmpty
            ? Finding("programs", .good, "berth-worker and berth-hold are in \(directory)")
            : Finding(
                "programs",
                .bad,
                "\(missing.joined(separator: " and ")) missing in \(directory)",
                remedy: "build them, or name their directory with BERTH_PROGRAMS"
            )
    }

    private static func userNamespaces() -> Finding {
        if getuid() == 0 { return Finding("user namespaces", .good, "running as root") }
        let switches = [
            "/proc/sys/kernel/unprivileged_userns_clone": "0", "/proc/sys/user/max_user_namespaces": "0",
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
        ]
        for path in switches.keys.sorted() where Files.text(path)?.trimmed == switches[path] {
            return Finding(
                "user namespaces",
                .bad,
                "\(path) forbids them to ordinary users",
                remedy: "allow them with sysctl, or run the server as root"
            )
        }
        return Finding("user namespaces", .good, "allowed")
    }

    private static func subordinateIDs() -> Finding {
        if getuid() == 0 { return Finding("subuid", .good, "not needed as root") }
        let name = AccountName.of(getuid()) ?? "\(getuid())"
        let has = { (path: String) in
            Files.text(path)?.split(separator: "\n")
                .contains { $0.hasPrefix("\(name):") || $0.hasPrefix("\(getuid()):") } ?? false
        }
        return has("/etc/subuid") && has("/etc/subgid")
            ? Finding("subuid", .good, "a range is there for \(name)")
            : Finding(
                "subuid",
                .limited,
                "no range for \(name): a sandbox has one user only",
                remedy: "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 \(name)"
            )
    }

    private static func controlGroups() -> Finding {
        if Files.exists("/sys/fs/cgroup/cgroup.controllers") {
            return Finding("cgroups", .good, "version 2")
        }
        let controllers = ["memory", "cpu", "pids", "freezer"]
        let missing = controllers.filter { !Files.exists("/sys/fs/cgroup/\($0)") }
        return missing.isEmpty
            ? Finding("cgroups", .good, "version 1 with \(controllers.joined(separator: ", "))")
            : Finding("cgroups", .limited, "no controller for \(missing.joined(separator: ", "))")
    }

    private static func network() -> Finding {
        for directory in ["/usr/bin", "/bin", "/usr/local/bin"] where Files.isExecutable("\(directory)/pasta") {
            return Finding("pasta", .good, "\(directory)/pasta")
        }
        return Finding(
            "pasta",
            .limited,
            "not found: sandboxes have no network",
            remedy: "install the package passt, or run scripts/bootstrap"
        )
    }

    /// What sandboxes on this machine hold to, and what they cannot.
    private static func sandbox(_ configuration: Configuration, _ loop: EventLoop) -> [Finding] {
        let baseRoot = Programs.baseRoot(configuration)
        var findings: [Finding] = []
        var status = stat()
        if stat(baseRoot, &status) == 0, geteuid() != 0, status.st_uid != geteuid() {
            findings.append(
                Finding(
                    "base root",
                    .bad,
                    "\(baseRoot) belongs to user \(status.st_uid): an ordinary user needs one of their own",
                    remedy: "run scripts/images/base-root as this user"
                )
            )
        } else if Files.exists(baseRoot) {
            findings.append(Finding("base root", .good, baseRoot))
        } else {
            findings.append(
                Finding("base root", .bad, "missing: \(baseRoot)", remedy: "run scripts/images/base-root")
            )
        }
        do {
            // Providers look at the file system that environments will lie on.
            if !Files.exists(configuration.dataDirectory) {
                try DataDirectory(path: configuration.dataDirectory).prepare()
            }
            for provider in try Programs.providers(configuration, loop: loop, time: SystemTime()) {
                let capabilities = provider.capabilities
                // What another provider does not do is no fault of this machine; its environments say it themselves.
                let isInUse = provider.kind.rawValue == configuration.text("provider")
                findings.append(
                    Finding(
                        "provider \(provider.kind)",
                        .good,
                        (isInUse ? "in use: " : "on request: ")
                            + "isolation \(capabilities.isolation.rawValue), limits by \(capabilities.limits.rawValue), "
                            + "disk cap \(capabilities.diskCap ? "yes" : "no"), pause \(capabilities.pause.rawValue)"
                    )
                )
                for limitation in capabilities.limitations where isInUse {
                    findings.append(Finding("provider \(provider.kind)", .limited, limitation))
                }
            }
        } catch {
            let error = BerthError(wrapping: error)
            findings.append(Finding("providers", .bad, error.message, remedy: error.remedy))
        }
        return findings
    }

    private static func agents(_ configuration: Configuration) -> [Finding] {
        let found = Programs.agents(configuration)
        if found.isEmpty {
            return [
                Finding(
                    "agents",
                    .limited,
                    "none in \(configuration.agentsDirectory); commands still run",
                    remedy: "run scripts/bootstrap, or put a program at \(configuration.agentsDirectory)/claude/claude"
                )
            ]
        }
        return found.map { Finding("agent \($0.name)", .good, $0.directory) }
    }
}
