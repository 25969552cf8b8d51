internal import Base
internal import Domain
internal import Glibc

/// The control groups of instances: one named by its environment under the group `berth` of every controller used.
struct ControlGroups: Sendable {
    enum Version: Sendable, Equatable {
        /// Controller name to mount point (memory, cpu, pids, freezer).
        case one([String: String])
        /// Mount point of the unified hierarchy.
        case two(String)
    }

    static let parent = "berth"
    static let controllers = ["memory", "cpu", "pids", "freezer"]

    let version: Version

    init(_ version: Version) { self.version = version }

    /// What this machine has, read from /proc/self/mountinfo; nil where the needed controllers are missing.
    init?(mountInfo: String) {
        var mounts: [String: String] = [:]
        var unified: String?
        for line in mountInfo.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), words.count > dash + 3, dash > 5 else { continue }
            let mountPoint = String(words[4])
            switch words[dash + 1] {
            case "cgroup":
                let options = words[dash + 3].split(separator: ",")
                for controller in Self.controllers where options.contains(Substring(controller)) {
                    mounts[controller] = mountPoint
                }
            case "cgroup2": unified = unified ?? mountPoint
            default: continue
            }
        }
        if Self.controllers.allSatisfy({ mounts[$0] != nil }) {
            version = .one(mounts)
        } else if let unified, Self.hasControllers(unified) {
            version = .two(unified)
        } else {
            return nil
        }
    }

    private static func hasControllers(_ unified: String) -> Bool {
        let present = (SmallFile.read(unified + "/cgroup.controllers") ?? "").trimmed.split(separator: " ")
        return ["memory", "cpu", "pids"].allSatisfy { present.contains(Substring($0)) }
    }

    var enforcement: LimitsEnforcement {
        switch version {
        case .one: .cgroup1
        case .two: .cgroup2
        }
    }

    /// The directories that the instance's first process joins.
    func paths(_ environmentID: EnvironmentID) -> [String] {
        switch version {
        case .one(let mounts):
            Self.controllers.compactMap { mounts[$0] }.map { "\($0)/\(Self.parent)/\(environmentID)" }
        case .two(let mount): ["\(mount)/\(Self.parent)/\(environmentID)"]
        }
    }

    private func path(_ controller: String, _ environmentID: EnvironmentID) -> String? {
        switch version {
        case .one(let mounts): mounts[controller].map { "\($0)/\(Self.parent)/\(environmentID)" }
        case .two(let mount): "\(mount)/\(Self.parent)/\(environmentID)"
        }
    }

    /// Makes the groups and sets the caps, before anything runs in them.
    func prepare(_ environmentID: EnvironmentID, _ limits: ResourceLimits) throws(BerthError) {
        if case .two(let mount) = version {
            try SmallFile.write("+memory +cpu +pids", to: mount + "/cgroup.subtree_control")
            try Self.make("\(mount)/\(Self.parent)")
            try SmallFile.write("+memory +cpu +pids", to: "\(mount)/\(Self.parent)/cgroup.subtree_control")
        }
        for path in paths(environmentID) {
            if let slash = path.lastIndex(of: "/") { try Self.make(String(path[..<slash])) }
            try Self.make(path)
        }
        for (controller, file, value) in settings(limits) {
            guard let directory = path(controller, environmentID) else { continue }
            try SmallFile.write(value, to: "\(directory)/\(file)")
        }
        // Swap is capped with memory where the kernel counts it; a kernel that does not has no such file.
        if let memory = limits.memoryBytes, let directory = path("memory", environmentID) {
            switch version {
            case .one: try? SmallFile.write("\(memory)", to: directory + "/memory.memsw.limit_in_bytes")
            case .two: try? SmallFile.write("0", to: directory + "/memory.swap.max")
            }
        }
    }

    private static let periodMicroseconds = 100_000

    private func settings(_ limits: ResourceLimits) -> [(controller: String, file: String, value: String)] {
        var settings: [(String, String, String)] = []
        let isFirst = if case .one = version { true } else { false }
        if let memory = limits.memoryBytes {
            settings.append(("memory", isFirst ? "memory.limit_in_bytes" : "memory.max", "\(memory)"))
        }
        if let cpus = limits.cpus {
            let quota = max(1000, Int(cpus * Double(Self.periodMicroseconds)))
            if isFirst {
                settings.append(("cpu", "cpu.cfs_period_us", "\(Self.periodMicroseconds)"))
                settings.append(("cpu", "cpu.cfs_quota_us", "\(quota)"))
            } else {
                settings.append(("cpu", "cpu.max", "\(quota) \(Self.periodMicroseconds)"))
            }
        }
        if let processes = limits.processes { settings.append(("pids", "pids.max", "\(processes)")) }
        return settings
    }

    private static func make(_ path: String) throws(BerthError) {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
            throw SmallFile.failure("make the control group", path)
        }
    }

    // MARK: - Freezing

    func isFrozen(_ environmentID: EnvironmentID) -> Bool {
        switch version {
        case .one:
            guard let directory = path("freezer", environmentID) else { return false }
            return SmallFile.read(directory + "/freezer.state")?.trimmed == "FROZEN"
        case .two:
            guard let directory = path("freezer", environmentID) else { return false }
            return SmallFile.read(directory + "/cgroup.events")?.contains("frozen 1") == true
        }
    }

    func freeze(_ environmentID: EnvironmentID, time: any TimeSource) async throws {
        try await set(true, environmentID, time: time)
    }

    /// Nothing to do where the group is gone.
    func thaw(_ environmentID: EnvironmentID, time: any TimeSource) async throws {
        guard let directory = path("freezer", environmentID), SmallFile.exists(directory) else { return }
        do {
            try await set(false, environmentID, time: time)
        } catch {
            // The monitor removes the group at the same time: the file may vanish between its open and its write.
            if SmallFile.exists(directory) { throw error }
        }
    }

    private func set(_ frozen: Bool, _ environmentID: EnvironmentID, time: any TimeSource) async throws {
        guard let directory = path("freezer", environmentID) else { return }
        let deadline = time.uptime + .seconds(10)
        repeat {
            switch version {
            // Written again each time: version 1 stays FREEZING when a fork raced it.
            case .one: try SmallFile.write(frozen ? "FROZEN" : "THAWED", to: directory + "/freezer.state")
            case .two: try SmallFile.write(frozen ? "1" : "0", to: directory + "/cgroup.freeze")
            }
            if isFrozen(environmentID) == frozen { return }
            try await time.wait(for: .milliseconds(2))
        } while time.uptime < deadline
        throw BerthError(
            .timedOut,
            "\(environmentID) could not be \(frozen ? "frozen" : "thawed") within 10 s",
            isRetryable: true
        )
    }

    // MARK: - Removing

    /// The last processes may still be on their way out of the group.
    func remove(_ environmentID: EnvironmentID, time: any TimeSource) async throws {
        let deadline = time.uptime + .seconds(5)
        for path in paths(environmentID) {
            while rmdir(path) != 0, errno == EBUSY {
                guard time.uptime < deadline else {
                    throw BerthError(.internal, "\(path) still has processes in it", isRetryable: true)
                }
                try await time.wait(for: .milliseconds(5))
            }
        }
    }
}
