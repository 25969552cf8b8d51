public import Base
public import Domain
public import EventLoop
internal import Glibc

/// The server's own machine without isolation: agents run as the server's user, among its files and on its network.
/// Only on explicit request. Holder, worker, records and adoption are the same as for `local`.
public struct HostProvider: Provider {
    public let kind = ProviderKind.host
    public let capabilities = ProviderCapabilities(
        isolation: .none,
        limits: .none,
        diskCap: false,
        pause: .none,
        networks: [.open],
        limitations: [
            "no isolation: agents run as the server's own user and can read and change everything it can",
            "limits of memory, processors, processes and disk space are not enforced",
            "the network is the host's own, its loopback services included",
            "environments cannot be paused",
        ]
    )

    private let programs: InstancePrograms
    private let house: InstanceHouse

    /// - Parameter dataDirectory: the server's; environments lie in its subdirectory `environments`.
    public init(
        dataDirectory: String,
        programs: InstancePrograms,
        loop: EventLoop,
        time: any TimeSource
    ) throws(BerthError) {
        let root = dataDirectory + "/environments"
        try SmallFile.makeDirectory(dataDirectory)
        try SmallFile.makeDirectory(root)
        self.programs = programs
        house = InstanceHouse(
            kind: kind,
            root: try SmallFile.resolved(root),
            launcher: Launcher(program: programs.holder, loop: loop, time: time),
            loop: loop,
            time: time,
            groups: nil
        )
    }

    public func create(_ request: InstanceRequest) async throws -> InstanceDescription {
        try request.check(against: capabilities)
        let directory = house.directory(request.environmentID)
        let description = InstanceDescription(
            environmentID: request.environmentID,
            linkSocket: directory.linkSocket,
            directory: directory.path,
            limitations: capabilities.limitations
        )
        if try house.exists(request) { return description }
        try directory.checkSocketPath()
        try directory.makeDirectories([directory.run, directory.state, directory.home, directory.workspaces])
        try house.keep(request)
        return description
    }

    @discardableResult
    public func start(_ instance: InstanceReference, _ launch: WorkerLaunch) async throws -> InstanceObservation {
        try await house.start(instance, launch) { directory, _ in
            try spec(instance.instance, directory, launch)
        }
    }

    private func spec(
        _ instance: Int64,
        _ directory: EnvironmentDirectory,
        _ launch: WorkerLaunch
    ) throws -> LaunchSpec {
        var spec = LaunchSpec()
        spec.add("mode", "host", "directory", directory.path, "instance", "\(instance)", "cwd", directory.home)
        var path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        for agent in launch.agents.reversed() {
            try agent.checkName()
            path = "\(agent.directory):\(path)"
        }
        var variables = [
            "PATH": path,
            "HOME": directory.home,
            "LANG": "C.UTF-8",
            "BERTH_ENVIRONMENT_ID": directory.environmentID.text,
            "BERTH_INSTANCE": "\(instance)",
        ]
        variables.merge(launch.environment) { _, new in new }
        for (key, value) in variables.sorted(by: { $0.key < $1.key }) { spec.add("environment", "\(key)=\(value)") }
        let holderSocket = directory.run + "/hold.sock"
        let command = [
            try SmallFile.resolved(programs.holder), "--socket", holderSocket,
            "--worker", try SmallFile.resolved(programs.worker), "--link", "unix:\(directory.linkSocket)",
            "--token-file", directory.token, "--state", directory.state, "--holder", holderSocket,
            "--workspaces", directory.workspaces,
        ]
        for argument in command + launch.arguments { spec.add("argument", argument) }
        return spec
    }

    public func stop(_ instance: InstanceReference, grace: Duration) async throws {
        try await house.stop(instance, grace: grace)
    }

    public func pause(_ instance: InstanceReference) async throws {
        throw capabilities.unsupported("pause an environment")
    }

    public func resume(_ instance: InstanceReference) async throws {
        throw capabilities.unsupported("resume an environment")
    }

    public func destroy(_ instance: InstanceReference) async throws {
        try await house.destroy(instance) { directory in
            var spec = LaunchSpec()
            spec.add("mode", "host", "directory", directory.path)
            return spec
        }
    }

    public func inspect(_ environment: EnvironmentID) async throws -> InstanceObservation {
        try house.inspect(environment)
    }

    public func list(label: String) async throws -> [InstanceObservation] { try house.list(label: label) }
}
