public import Base
public import Domain
public import EventLoop
internal import Glibc

/// A small virtual machine per environment: QEMU's `microvm` with a kernel of its own, confined like a sandbox of `local`
/// and found again in the same way. The guest has no way to the host but its disk, its network by policy, and a serial
/// port over which its worker reaches the server's socket.
public struct MicroVMProvider: Provider {
    public let kind = ProviderKind.microvm
    public let capabilities: ProviderCapabilities

    let configuration: MicroVMConfiguration
    private let local: LocalConfiguration
    private let host: LocalHost
    let house: InstanceHouse
    let disks: ReadOnlyDisks
    let lanes = EnvironmentLanes()
    let held = HeldMachines()
    let time: any TimeSource
    /// What the sandbox of QEMU is laid over.
    let empty: String

    /// How long a machine may take from its start to its holder: translated and on a busy host it is seconds.
    static let bootDeadline = Duration.seconds(120)
    static let monitorDeadline = Duration.seconds(10)

    public init(_ configuration: MicroVMConfiguration, loop: EventLoop, time: any TimeSource) throws(BerthError) {
        let data = configuration.dataDirectory
        for path in [data, data + "/environments", data + "/microvm", data + "/microvm/empty"] {
            try SmallFile.makeDirectory(path)
        }
        let local = LocalConfiguration(
            dataDirectory: data,
            baseRoot: configuration.images,
            programs: configuration.programs,
            idBase: configuration.idBase,
            pasta: configuration.pasta
        )
        let host = LocalHost.probe(local)
        self.configuration = configuration
        self.local = local
        self.host = host
        self.time = time
        empty = data + "/microvm/empty"
        disks = ReadOnlyDisks(directory: try SmallFile.resolved(data + "/microvm"), loop: loop)
        capabilities = ProviderCapabilities(
            isolation: .machine,
            limits: host.groups?.enforcement ?? .machine,
            diskCap: true,
            pause: .freeze,
            networks: host.pasta == nil ? [.none] : [.none, .open],
            snapshots: true,
            limitations: Self.limitations(host, configuration)
        )
        house = InstanceHouse(
            kind: kind,
            root: try SmallFile.resolved(data + "/environments"),
            launcher: Launcher(program: configuration.programs.holder, loop: loop, time: time),
            loop: loop,
            time: time,
            groups: host.groups
        )
    }

    private static func limitations(_ host: LocalHost, _ configuration: MicroVMConfiguration) -> [String] {
        var words: [String] = []
        if let missing = missingPart(configuration) { words.append("\(missing.message): no machine can be made") }
        if host.groups == nil {
            words.append(
                "an ordinary user has no control groups: limits of processors become whole processors of the machine"
            )
        }
        if host.pasta == nil {
            words.append("pasta (package passt) or /dev/net/tun is missing: environments have no network but loopback")
        }
        return words
    }

    // MARK: - Making

    public func create(_ request: InstanceRequest) async throws -> InstanceDescription {
        try request.check(against: capabilities)
        let directory = house.directory(request.environmentID)
        if try house.exists(request) { return describe(directory) }
        try directory.checkSocketPath()
        try checkParts()
        let size = try size(request, images: configuration.images)
        try directory.makeDirectories([
            directory.layer, directory.run, directory.state, directory.etc, directory.machine,
        ])
        try await makeDisk(directory, size)
        try finish(request, directory, images: try SmallFile.resolved(configuration.images))
        return describe(directory)
    }

    /// What comes after the disk; from here on the environment exists.
    func finish(_ request: InstanceRequest, _ directory: EnvironmentDirectory, images: String) throws {
        try SmallFile.replace(directory.images, with: images)
        let resolver = request.network.kind == .open ? "nameserver \(NetworkPlan.gateway)\n" : ""
        try SmallFile.replace(directory.etc + "/resolv.conf", with: resolver)
        guard chmod(directory.etc + "/resolv.conf", 0o644) == 0 else {
            throw SmallFile.failure("set the mode of", directory.etc + "/resolv.conf")
        }
        try house.keep(request)
    }

    private func makeDisk(_ directory: EnvironmentDirectory, _ size: MachineSize) async throws {
        let path = directory.machine + "/disk.qcow2"
        let base = try SmallFile.resolved(configuration.images + "/root.ext4")
        let arguments = [
            configuration.qemuImage, "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", base, path,
            "\(size.diskBytes)",
        ]
        let status = try await ForeignTool.run(arguments, loop: house.loop)
        guard status == 0, chmod(path, 0o600) == 0 else {
            throw BerthError(
                .unavailable,
                "qemu-img could not make the environment's disk (status \(status))",
                remedy: "see whether the file system of \(configuration.dataDirectory) is full",
                isRetryable: true
            )
        }
    }

    func checkParts() throws(BerthError) {
        if let missing = Self.missingPart(configuration) { throw missing }
    }

    private static func missingPart(_ configuration: MicroVMConfiguration) -> BerthError? {
        for (program, package) in [
            (configuration.qemu, "qemu-system-x86"), (configuration.qemuImage, "qemu-utils"),
            (LocalHost.mkfs, "e2fsprogs"),
        ] where access(program, X_OK) != 0 {
            return BerthError(
                .unsupported,
                "\(program) is missing",
                field: "provider",
                remedy: "install the Debian package \(package); scripts/bootstrap does"
            )
        }
        do {
            try checkImages(configuration.images)
            return nil
        } catch {
            return error
        }
    }

    static func checkImages(_ images: String) throws(BerthError) {
        for name in ["vmlinuz", "initrd", "root.ext4"] where !SmallFile.exists("\(images)/\(name)") {
            throw BerthError(
                .imageUnavailable,
                "the images of micro virtual machines are missing: \(images)/\(name)",
                remedy: "run scripts/images/microvm"
            )
        }
    }

    func size(_ request: InstanceRequest, images: String) throws(BerthError) -> MachineSize {
        var status = stat()
        guard stat("\(images)/root.ext4", &status) == 0 else { throw SmallFile.failure("find", "\(images)/root.ext4") }
        return try MachineSize(
            request.limits,
            imageBytes: Int64(status.st_size),
            hostProcessors: sysconf(Int32(_SC_NPROCESSORS_ONLN))
        )
    }

    func describe(_ directory: EnvironmentDirectory) -> InstanceDescription {
        InstanceDescription(
            environmentID: directory.environmentID,
            linkSocket: directory.linkSocket,
            directory: directory.path,
            limitations: capabilities.limitations
        )
    }

    // MARK: - Running

    @discardableResult
    public func start(_ instance: InstanceReference, _ launch: WorkerLaunch) async throws -> InstanceObservation {
        let isStarted = try await lanes.run(instance.environmentID) { try await boot(instance, launch) }
        if isStarted { try await waitUntilReady(instance, house.directory(instance.environmentID)) }
        return try await inspect(instance.environmentID)
    }

    public func stop(_ instance: InstanceReference, grace: Duration) async throws {
        _ = try house.request(instance.environmentID)
        if grace > .zero, let record = try house.record(of: instance), record.isHolderAlive {
            // A machine that is held cannot end in order.
            _ = try? await monitor(instance.environmentID) { try await $0.run("cont") }
        }
        try await house.stop(instance, grace: grace)
    }

    public func pause(_ instance: InstanceReference) async throws {
        try await lanes.run(instance.environmentID) {
            _ = try house.livingRecord(of: instance, to: "pause")
            try await monitor(instance.environmentID) { try await $0.run("stop") }
        }
    }

    public func resume(_ instance: InstanceReference) async throws {
        try await lanes.run(instance.environmentID) { try await letRun(instance) }
    }

    func letRun(_ instance: InstanceReference) async throws {
        let record = try house.livingRecord(of: instance, to: "resume")
        try await monitor(instance.environmentID) { try await $0.run("cont") }
        // The guest has missed the time in between.
        record.holder.signal(SIGHUP)
    }

    public func destroy(_ instance: InstanceReference) async throws {
        try await house.destroy(instance) { directory in
            sandbox(directory, InstanceRequest(environmentID: instance.environmentID, label: "")).removal()
        }
        try await host.groups?.remove(instance.environmentID, time: time)
    }

    @discardableResult
    func monitor<Result: Sendable>(
        _ environment: EnvironmentID,
        deadline: Duration = monitorDeadline,
        _ body: @escaping @Sendable (QEMUMonitor) async throws -> Result
    ) async throws -> Result {
        let path = house.directory(environment).machine + "/qmp.sock"
        return try await QEMUMonitor.with(path, deadline: deadline, loop: house.loop, time: time, body)
    }

    /// QEMU is confined as a program of `local` is.
    func sandbox(_ directory: EnvironmentDirectory, _ request: InstanceRequest) -> SandboxPlan {
        SandboxPlan(host: host, configuration: local, directory: directory, request: request)
    }

    // MARK: - Looking

    public func inspect(_ environment: EnvironmentID) async throws -> InstanceObservation {
        await look(try house.inspect(environment))
    }

    public func list(label: String) async throws -> [InstanceObservation] {
        var found: [InstanceObservation] = []
        for observation in try house.list(label: label) { found.append(await look(observation)) }
        return found
    }

    /// Adds what the machine itself knows: whether it is held, and how QEMU ended.
    private func look(_ observation: InstanceObservation) async -> InstanceObservation {
        var observation = observation
        switch observation.state {
        case .running where !held.contains(observation.environmentID):
            let status = try? await monitor(observation.environmentID, deadline: .seconds(2)) { try await $0.status() }
            if let status, ["paused", "postmigrate", "io-error", "internal-error"].contains(status) {
                observation.state = .paused
            }
        case .stopped(.exited(_, let at)):
            let path = house.directory(observation.environmentID).machine + "/end"
            guard let end = MachineEnd(SmallFile.read(path) ?? ""), end.instance == observation.instance else { break }
            if let signal = end.signal { observation.state = .stopped(.killed(signal: signal, at: at)) }
        default: break
        }
        return observation
    }
}
