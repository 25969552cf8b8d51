internal import Base
internal import Domain
internal import Glibc

/// Writes the launcher's specification of one boot of a sandbox.
struct SandboxPlan {
    let host: LocalHost
    let configuration: LocalConfiguration
    let directory: EnvironmentDirectory
    let request: InstanceRequest

    func spec(_ instance: Int64, _ launch: WorkerLaunch, command: [String]?) throws -> LaunchSpec {
        var spec = LaunchSpec()
        addIDs(to: &spec)
        // Resolved here: the launcher looks paths up below a directory where absolute links lead elsewhere.
        spec.add("directory", try SmallFile.resolved(directory.path))
        spec.add("instance", "\(instance)")
        spec.add("lower", try SmallFile.resolved(configuration.baseRoot))
        spec.add("layer", try SmallFile.resolved(directory.layer))
        if SmallFile.exists(directory.disk) { spec.add("disk", try SmallFile.resolved(directory.disk)) }
        spec.add("hostname", request.hostname)
        spec.add("cwd", "/")
        try addBinds(launch, to: &spec)
        addLimits(to: &spec)
        NetworkPlan.add(request.network, pasta: host.pasta, to: &spec)
        let home = host.ids == .single ? "/home/agent" : "/root"
        for (key, value) in Inside.variables(
            request.environmentID,
            instance,
            launch,
            home: home,
            hasTools: configuration.tools != nil
        ) {
            spec.add("environment", "\(key)=\(value)")
        }
        let hidden = ["--hide", Inside.linkDirectory, "--hide", Inside.state]
        for argument in command ?? Inside.holderCommand(launch, hidden) { spec.add("argument", argument) }
        return spec
    }

    /// What the launcher's `remove` needs: only the map of ids.
    func removal() -> LaunchSpec {
        var spec = LaunchSpec()
        addIDs(to: &spec)
        spec.add("directory", directory.path)
        return spec
    }

    func addIDs(to spec: inout LaunchSpec) {
        let count = LocalHost.idCount
        switch host.ids {
        case .shifted(let base):
            spec.add("mode", "root", "rootID", "\(base)", "owner", "\(base + count)", "user", "0")
            spec.add("outer", "0", "\(base)", "\(count)")
            spec.add("inner", "0", "0", "\(count)")
        case .range(let first, let length):
            // Two extents on both levels: a map must lie within one extent of the map above it.
            spec.add("mode", "user", "rootID", "0", "user", "0")
            spec.add("outer", "0", "\(geteuid())", "1")
            spec.add("outer", "1", "\(first)", "\(length)")
            spec.add("inner", "0", "0", "1")
            spec.add("inner", "1", "1", "\(length)")
        case .single:
            spec.add("mode", "user", "rootID", "0", "user", "\(LocalHost.agentID)")
            spec.add("outer", "0", "\(geteuid())", "1")
            spec.add("inner", "\(LocalHost.agentID)", "0", "1")
        }
    }

    private func addBinds(_ launch: WorkerLaunch, to spec: inout LaunchSpec) throws {
        spec.bind(try SmallFile.resolved(directory.run), at: Inside.linkDirectory, .idMapped)
        spec.bind(try SmallFile.resolved(directory.state), at: Inside.state, .idMapped)
        for name in ["hosts", "hostname", "resolv.conf"] {
            spec.bind(
                try SmallFile.resolved("\(directory.etc)/\(name)"),
                at: "/etc/\(name)",
                [.idMapped, .readOnly, .file]
            )
        }
        let programs = configuration.programs
        spec.bind(try SmallFile.resolved(programs.holder), at: Inside.holder, [.idMapped, .readOnly, .file])
        spec.bind(try SmallFile.resolved(programs.worker), at: Inside.worker, [.idMapped, .readOnly, .file])
        if let tools = configuration.tools {
            spec.bind(try SmallFile.resolved(tools), at: Inside.tools, [.idMapped, .readOnly])
        }
        for agent in launch.agents {
            try agent.checkName()
            spec.bind(
                try SmallFile.resolved(agent.directory),
                at: "\(Inside.agents)/\(agent.name)",
                [.idMapped, .readOnly]
            )
        }
    }

    private func addLimits(to spec: inout LaunchSpec) {
        spec.add("limit", "core", "0")
        spec.add("limit", "descriptors", "1048576")
        if let groups = host.groups {
            for path in groups.paths(request.environmentID) { spec.add("cgroup", path) }
        } else if let processes = request.limits.processes {
            spec.add("limit", "processes", "\(processes)")
        }
    }
}
