internal import Base
internal import Domain
internal import Glibc

/// One incarnation as a container: the body of `POST /containers/create`, and what the launcher adds to it.
struct DockerPlan {
    let configuration: DockerConfiguration
    let host: LocalHost
    let directory: EnvironmentDirectory
    let request: InstanceRequest
    /// The data directory: see ``DockerLabel/deployment``.
    let deployment: String

    /// What the first process and the worker need to give agents another user and to keep their files in order. None of
    /// them is among what Docker would not grant by itself, and agents get none at all.
    static let capabilities = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"]

    static func name(_ environmentID: EnvironmentID) -> String { "berth-\(environmentID)" }

    var needsNetwork: Bool {
        host.pasta != nil && (request.network.kind == .open || !request.network.hostPorts.isEmpty)
    }

    /// - Parameter imagePath: PATH of the image's own configuration.
    func body(_ instance: Int64, _ launch: WorkerLaunch, imagePath: String?) throws -> JSONValue {
        let command = Inside.holderCommand(launch, ["--gate", Inside.gate], worker: ["--gate", Inside.workerGate])
        let variables = Inside.variables(
            request.environmentID,
            instance,
            launch,
            home: "/root",
            path: imagePath,
            hasTools: configuration.tools != nil
        )
        return [
            "Image": .string(request.image ?? configuration.image),
            "Hostname": .string(request.hostname),
            "User": "0:0",
            "WorkingDir": "/",
            "Entrypoint": .array(command.map { .string($0) }),
            "Cmd": [],
            "Env": .array(variables.map { .string("\($0)=\($1)") }),
            "Healthcheck": ["Test": ["NONE"]],
            "Labels": [
                DockerLabel.managed: "true",
                DockerLabel.label: .string(request.label),
                DockerLabel.deployment: .string(deployment),
                DockerLabel.environment: .string(request.environmentID.text),
                DockerLabel.instance: .string("\(instance)"),
            ],
            "HostConfig": .object(try hostConfiguration(launch)),
        ]
    }

    private func hostConfiguration(_ launch: WorkerLaunch) throws -> [String: JSONValue] {
        var values: [String: JSONValue] = [
            "Mounts": .array(try mounts(launch)),
            // The launcher's workshop lies in it too (sandbox_container.c).
            "Tmpfs": ["/run": "rw,nosuid,nodev,mode=755,size=64m"],
            "NetworkMode": "none",
            // The launcher lays the environment's own writable layer over it.
            "ReadonlyRootfs": true,
            "CapDrop": ["ALL"],
            "CapAdd": .array(Self.capabilities.map { .string($0) }),
            "SecurityOpt": ["no-new-privileges"],
            "IpcMode": "private",
            "CgroupnsMode": "private",
            // Ids of the mounted directories are the host's.
            "UsernsMode": "host",
            "RestartPolicy": ["Name": "no"],
            "Ulimits": [["Name": "core", "Soft": .integer(0), "Hard": .integer(0)]],
            "LogConfig": ["Type": "json-file", "Config": ["max-size": "1m", "max-file": "1"]],
        ]
        if let memory = request.limits.memoryBytes {
            values["Memory"] = .integer(memory)
            // As much as memory alone: no swap.
            values["MemorySwap"] = .integer(memory)
        }
        if let cpus = request.limits.cpus {
            // The Engine refuses more than the host has, where more means no cap anyway.
            values["NanoCpus"] = .integer(Int64(min(cpus, Double(Self.hostProcessors)) * 1_000_000_000))
        }
        if let processes = request.limits.processes { values["PidsLimit"] = .integer(Int64(processes)) }
        return values
    }

    private static var hostProcessors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    private func mounts(_ launch: WorkerLaunch) throws -> [JSONValue] {
        func mount(_ source: String, _ target: String, readOnly: Bool) throws -> JSONValue {
            [
                "Type": "bind", "Source": .string(try SmallFile.resolved(source)), "Target": .string(target),
                "ReadOnly": .bool(readOnly), "BindOptions": ["Propagation": "rprivate"],
            ]
        }
        var mounts = [
            try mount(directory.run, Inside.linkDirectory, readOnly: false),
            try mount(directory.state, Inside.state, readOnly: false),
            try mount(configuration.programs.holder, Inside.holder, readOnly: true),
            try mount(configuration.programs.worker, Inside.worker, readOnly: true),
        ]
        for name in ["hosts", "hostname", "resolv.conf"] {
            mounts.append(try mount("\(directory.etc)/\(name)", "/etc/\(name)", readOnly: true))
        }
        if let tools = configuration.tools { mounts.append(try mount(tools, Inside.tools, readOnly: true)) }
        for agent in launch.agents {
            try agent.checkName()
            mounts.append(try mount(agent.directory, "\(Inside.agents)/\(agent.name)", readOnly: true))
        }
        return mounts
    }

    /// Which container the launcher is to add to: the second part of its specification.
    func place(_ container: DockerContainer) -> LaunchSpec {
        var spec = LaunchSpec()
        spec.add("container", "\(container.pid)", container.id)
        return spec
    }

    /// What the launcher adds to a container that the Engine is still starting.
    func additions(_ instance: Int64) throws -> LaunchSpec {
        var spec = LaunchSpec()
        spec.add("mode", "container")
        spec.add("owner", "\(configuration.idBase + LocalHost.idCount)")
        spec.add("directory", try SmallFile.resolved(directory.path), "instance", "\(instance)")
        spec.add("layer", try SmallFile.resolved(directory.layer))
        if SmallFile.exists(directory.disk) { spec.add("disk", try SmallFile.resolved(directory.disk)) }
        spec.add("gate", try SmallFile.resolved(directory.gate))
        spec.add("workerGate", try SmallFile.resolved(directory.workerGate))
        NetworkPlan.add(request.network, pasta: host.pasta, to: &spec)
        return spec
    }
}
