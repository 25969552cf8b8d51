import Base
import Domain
import EventLoop
import Glibc
import Providers
import TestSupport

/// The providers that must all keep the same contract.
enum ProviderSubject: String, CaseIterable {
    case local, host, docker

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
        }
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
    worker: String = InsideProbe.worker,
    socket: String? = nil,
    _ body: (ProviderFixture) async throws -> Void
) async throws {
    try await withTemporaryDirectory { directory in
        let loop = try EventLoop()
        loop.start()
        defer { loop.stop() }
        let path = directory + "/worker"
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o755)
        _ = write(file, worker, worker.utf8.count)
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
