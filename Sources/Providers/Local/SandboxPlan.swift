internal import Base
internal import Domain
internal import Glibc

/// Paths of the inside.
public enum Inside {
    public static let linkDirectory = "/run/berth"
    public static let linkSocket = "/run/berth/link.sock"
    public static let holderSocket = "/run/berth/hold.sock"
    public static let token = "/run/berth/token"
    public static let state = "/var/lib/berth"
    public static let holder = "/opt/berth/bin/berth-hold"
    public static let worker = "/opt/berth/bin/berth-worker"
    public static let agents = "/opt/berth/agents"
    public static let workspaces = "/workspace"
}

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
        addNetwork(to: &spec)
        for (key, value) in environment(instance, launch) { spec.add("environment", "\(key)=\(value)") }
        for argument in command ?? holderCommand(launch) { spec.add("argument", argument) }
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

    private func addNetwork(to spec: inout LaunchSpec) {
        // Host ports need pasta too, without any route to the internet beside them.
        guard let pasta = host.pasta, request.network.kind == .open || !request.network.hostPorts.isEmpty else {
            return
        }
        spec.add("network", pasta)
        spec.add("address", NetworkPlan.address)
        spec.add("gateway", NetworkPlan.gateway)
        for port in request.network.hostPorts { spec.add("port", "\(port)") }
        if request.network.kind == .open {
            for prefix in NetworkPlan.unreachable() { spec.add("unreachable", prefix) }
        } else {
            spec.add("closed", "1")
        }
    }

    private func environment(_ instance: Int64, _ launch: WorkerLaunch) -> [(String, String)] {
        let agents = launch.agents.map { "\(Inside.agents)/\($0.name)" }
        let system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        var variables = [
            "PATH": (agents + system).joined(separator: ":"),
            "HOME": host.ids == .single ? "/home/agent" : "/root",
            "LANG": "C.UTF-8",
            "BERTH_ENVIRONMENT_ID": request.environmentID.text,
            "BERTH_INSTANCE": "\(instance)",
        ]
        variables.merge(launch.environment) { _, new in new }
        return variables.sorted { $0.key < $1.key }
    }

    private func holderCommand(_ launch: WorkerLaunch) -> [String] {
        [
            Inside.holder, "--socket", Inside.holderSocket, "--hide", Inside.linkDirectory, "--hide", Inside.state,
            "--worker", Inside.worker, "--link", "unix:\(Inside.linkSocket)", "--token-file", Inside.token,
            "--state", Inside.state, "--holder", Inside.holderSocket, "--workspaces", Inside.workspaces,
        ] + launch.arguments
    }
}
