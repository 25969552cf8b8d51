public import Base
public import Domain
public import EventLoop
internal import Glibc

/// Sandboxes on the server's own machine: namespaces, an overlay over a shared base root, control groups where the
/// server is root. Instances live on when the server dies; the next one finds them by their records.
public struct LocalProvider: Provider {
    public let kind = ProviderKind.local
    public var capabilities: ProviderCapabilities { host.capabilities }

    private let configuration: LocalConfiguration
    private let host: LocalHost
    private let house: InstanceHouse
    private let time: any TimeSource
    /// What runs first inside, instead of the holder; for tests of the view itself.
    private let firstProgram: [String]?

    public init(_ configuration: LocalConfiguration, loop: EventLoop, time: any TimeSource) throws(BerthError) {
        try self.init(configuration, loop: loop, time: time, firstProgram: nil)
    }

    init(
        _ configuration: LocalConfiguration,
        loop: EventLoop,
        time: any TimeSource,
        firstProgram: [String]?
    ) throws(BerthError) {
        let root = configuration.dataDirectory + "/environments"
        try SmallFile.makeDirectory(configuration.dataDirectory)
        try SmallFile.makeDirectory(root)
        let host = LocalHost.probe(configuration)
        self.configuration = configuration
        self.host = host
        self.time = time
        self.firstProgram = firstProgram
        house = InstanceHouse(
            kind: kind,
            root: try SmallFile.resolved(root),
            launcher: Launcher(program: configuration.programs.holder, loop: loop, time: time),
            loop: loop,
            time: time,
            groups: host.groups
        )
    }

    // MARK: - Making

    public func create(_ request: InstanceRequest) async throws -> InstanceDescription {
        try request.check(against: capabilities)
        let directory = house.directory(request.environmentID)
        if try house.exists(request) { return describe(directory) }
        try directory.checkSocketPath()
        guard SmallFile.exists(configuration.baseRoot) else {
            throw BerthError(
                .imageUnavailable,
                "the base root of sandboxes is missing: \(configuration.baseRoot)",
                remedy: "run scripts/images/base-root"
            )
        }
        if let owner = SmallFile.owner(configuration.baseRoot), geteuid() != 0, owner != geteuid() {
            throw BerthError(
                .imageUnavailable,
                "the base root \(configuration.baseRoot) belongs to user \(owner), and an ordinary user's sandbox cannot"
                    + " be laid over it",
                field: "baseRoot",
                remedy: "run scripts/images/base-root as the server's user, and leave BERTH_BASE_ROOT out"
            )
        }
        try directory.makeDirectories([directory.layer, directory.run, directory.state, directory.etc])
        if let size = request.limits.diskBytes, host.makesFileSystems {
            try await DiskImage.make(directory.disk, bytes: size, loop: house.loop)
        }
        try directory.writeNames(request)
        try house.keep(request)
        return describe(directory)
    }

    private func describe(_ directory: EnvironmentDirectory) -> InstanceDescription {
        InstanceDescription(
            environmentID: directory.environmentID,
            linkSocket: directory.linkSocket,
            directory: directory.path,
            limitations: host.limitations
        )
    }

    // MARK: - Running

    @discardableResult
    public func start(_ instance: InstanceReference, _ launch: WorkerLaunch) async throws -> InstanceObservation {
        try await house.start(instance, launch) { directory, request in
            let plan = SandboxPlan(host: host, configuration: configuration, directory: directory, request: request)
            return try plan.spec(instance.instance, launch, command: firstProgram)
        }
    }

    public func stop(_ instance: InstanceReference, grace: Duration) async throws {
        try await house.stop(instance, grace: grace)
    }

    public func pause(_ instance: InstanceReference) async throws {
        guard let groups = host.groups else { throw capabilities.unsupported("pause an environment") }
        _ = try house.livingRecord(of: instance, to: "pause")
        try await groups.freeze(instance.environmentID, time: time)
    }

    public func resume(_ instance: InstanceReference) async throws {
        guard let groups = host.groups else { throw capabilities.unsupported("resume an environment") }
        _ = try house.livingRecord(of: instance, to: "resume")
        try await groups.thaw(instance.environmentID, time: time)
    }

    public func destroy(_ instance: InstanceReference) async throws {
        try await house.destroy(instance) { directory in
            let request = InstanceRequest(environmentID: instance.environmentID, label: "")
            return SandboxPlan(host: host, configuration: configuration, directory: directory, request: request)
                .removal()
        }
        try await host.groups?.remove(instance.environmentID, time: time)
    }

    // MARK: - Looking

    public func inspect(_ environment: EnvironmentID) async throws -> InstanceObservation {
        try house.inspect(environment)
    }

    public func list(label: String) async throws -> [InstanceObservation] { try house.list(label: label) }
}
