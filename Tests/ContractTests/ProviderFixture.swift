import Base
import Domain
import EventLoop
import FoundationEssentials
import Glibc
import Providers
import TestSupport

/// The providers that must all keep the same contract.
enum ProviderSubject: String, CaseIterable {
    case local, host, docker, microvm

    /// Micro virtual machines pass the kit by `make microvm` (BERTH_MICROVM_KIT=1): without KVM its thirty boots take
    /// minutes, and grace periods of seconds end before a guest has booted. `MicroVMTests` runs with the others.
    static let allCases: [ProviderSubject] =
        getenv("BERTH_MICROVM_KIT") == nil ? [.local, .host, .docker] : [.local, .host, .docker, .microvm]

    /// Those whose instances are the launcher's own children, known by its records alone.
    static let launched: [ProviderSubject] = [.local, .host]

    /// - Parameter socket: of the Docker Engine; nil: the one that tests share.
    func make(in directory: String, loop: EventLoop, socket: String? = nil) async throws -> any Provider {
        let programs = InstancePrograms(
            holder: try ProgramLocation.shipped("berth-hold"),
            worker: directory + "/worker"
        )
        switch self {
        case .local:
            let configuration = LocalConfiguration(
                dataDirectory: directory + "/data",
                baseRoot: BerthCache.baseRoot,
                programs: programs
            )
            return try LocalProvider(configuration, loop: loop, time: SystemTime())
        case .host:
            return try HostProvider(
                dataDirectory: directory + "/data",
                programs: programs,
                loop: loop,
                time: SystemTime()
            )
        case .docker:
            var configuration = DockerConfiguration(dataDirectory: directory + "/data", programs: programs)
            configuration.socket = if let socket { socket } else { try await DockerEngine.shared().socket }
            return try DockerProvider(configuration, loop: loop, time: SystemTime())
        case .microvm:
            let configuration = MicroVMConfiguration(
                dataDirectory: directory + "/data",
                images: BerthCache.microVM,
                programs: programs
            )
            return try MicroVMProvider(configuration, loop: loop, time: SystemTime())
        }
    }

    /// The worker's program in the tests of this provider.
    func worker() throws -> String {
        guard self == .microvm else { return InsideProbe.worker }
        return "#!/usr/bin/python3\n"
            + (try String(contentsOfFile: ScriptedPeer.path("machine_shell.py"), encoding: .utf8))
    }
}

/// One provider with a data directory of its own. The worker is a script that waits: what is tested here is the machine.
struct ProviderFixture {
    var provider: any Provider
    var directory: String
    var loop: EventLoop
    var ids: IDSource
    var subject: ProviderSubject

    static let launch = WorkerLaunch(token: Secret("t0ken"))

    /// As a restarted server would see it: another object over the same directory.
    func restarted() async throws -> any Provider { try await subject.make(in: directory, loop: loop) }

    /// With the network that the provider has here.
    func request(_ limits: ResourceLimits = ResourceLimits(processes: 256)) -> InstanceRequest {
        let network: NetworkPolicy = provider.capabilities.networks.contains(.open) ? .open : .none
        return InstanceRequest(environmentID: ids.make(), label: "test", limits: limits, network: network)
    }

    /// Created and started as instance 1.
    func started(_ request: InstanceRequest? = nil) async throws -> InstanceReference {
        let request = request ?? self.request()
        _ = try await provider.create(request)
        let reference = InstanceReference(environmentID: request.environmentID, instance: 1)
        try await provider.start(reference, Self.launch)
        return reference
    }

    func state(_ reference: InstanceReference) async throws -> InstanceState {
        try await provider.inspect(reference.environmentID).state
    }
}

/// Every environment that the body leaves is destroyed at the end, so that a failing test leaves no process behind.
func withProvider(
    _ subject: ProviderSubject,
    worker: String? = nil,
    socket: String? = nil,
    _ body: (ProviderFixture) async throws -> Void
) async throws {
    let turn = await subject == .microvm ? MachineTurns.shared.enter() : nil
    defer { turn?.end() }
    try await withTemporaryDirectory { directory in
        let loop = try EventLoop()
        loop.start()
        defer { loop.stop() }
        let path = directory + "/worker"
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o755)
        let program = try worker ?? subject.worker()
        _ = write(file, program, program.utf8.count)
        close(file)
        let fixture = ProviderFixture(
            provider: try await subject.make(in: directory, loop: loop, socket: socket),
            directory: directory,
            loop: loop,
            ids: IDSource(time: SystemTime(), randomness: SystemRandomness()),
            subject: subject
        )
        do {
            try await body(fixture)
        } catch {
            try? await fixture.destroyAll()
            throw error
        }
        try await fixture.destroyAll()
    }
}

extension ProviderFixture {
    func destroyAll() async throws {
        for observation in try await provider.list(label: "test") {
            let reference = InstanceReference(
                environmentID: observation.environmentID,
                instance: observation.instance ?? 1
            )
            try await provider.destroy(reference)
        }
    }
}
