import Base
import Database
import Domain

/// A provider's calls with what they took in the provisioning log, and in its own words what went wrong.
struct LoggedInstances: InstanceProviding {
    private let instances: any InstanceProviding
    private let log: ProvisioningLog
    private let database: any SQLDatabase
    private let bells: EnvironmentBells

    init(
        _ instances: any InstanceProviding,
        _ log: ProvisioningLog,
        _ database: any SQLDatabase,
        _ bells: EnvironmentBells
    ) {
        self.instances = instances
        self.log = log
        self.database = database
        self.bells = bells
    }

    private func logged<Value: Sendable>(
        _ call: String,
        _ environment: EnvironmentRecord,
        _ body: () async throws -> Value
    ) async throws -> Value {
        let start = log.time.uptime
        let provider = environment.spec.provider
        do {
            let value = try await body()
            let took = (log.time.uptime - start).wholeMilliseconds
            await note(.debug, "\(provider): \(call) took \(took) ms", environment)
            return value
        } catch let error as BerthError {
            let detail = error.detail.map { ": \($0)" } ?? ""
            await note(.error, "\(provider): \(call) failed: \(error.message)\(detail)", environment)
            throw error
        }
    }

    /// A line that cannot be written, as on a full disk, keeps nothing from being done.
    private func note(_ level: ProvisioningEntry.Level, _ message: String, _ environment: EnvironmentRecord) async {
        let log = log
        try? await database.write { try log.add(level, message, to: environment.id, in: $0) }
        bells.ring(environment.id)
    }

    func create(_ environment: EnvironmentRecord) async throws -> [String] {
        let limitations = try await logged("create", environment) { try await instances.create(environment) }
        for limitation in limitations { await note(.info, "not enforced: \(limitation)", environment) }
        return limitations
    }

    func start(_ environment: EnvironmentRecord, token: Secret<String>) async throws {
        try await logged("start", environment) { try await instances.start(environment, token: token) }
    }

    func pause(_ environment: EnvironmentRecord) async throws {
        try await logged("pause", environment) { try await instances.pause(environment) }
    }

    func resume(_ environment: EnvironmentRecord) async throws {
        try await logged("resume", environment) { try await instances.resume(environment) }
    }

    func stop(_ environment: EnvironmentRecord) async throws {
        try await logged("stop", environment) { try await instances.stop(environment) }
    }

    func destroy(_ environment: EnvironmentRecord) async throws {
        try await logged("destroy", environment) { try await instances.destroy(environment) }
    }

    func snapshot(_ environment: EnvironmentRecord, as snapshot: SnapshotID) async throws {
        try await logged("snapshot", environment) { try await instances.snapshot(environment, as: snapshot) }
    }

    func restore(_ environment: EnvironmentRecord, to snapshot: SnapshotID) async throws {
        try await logged("restore", environment) { try await instances.restore(environment, to: snapshot) }
    }

    func removeSnapshot(_ snapshot: SnapshotID, of provider: ProviderKind) async throws {
        try await instances.removeSnapshot(snapshot, of: provider)
    }

    func capabilities(of provider: ProviderKind) throws(BerthError) -> ProviderCapabilities {
        try instances.capabilities(of: provider)
    }

    func inspect(_ environment: EnvironmentRecord) async throws -> ObservedInstance {
        try await instances.inspect(environment)
    }

    func list(_ provider: ProviderKind) async throws -> [ObservedInstance] { try await instances.list(provider) }
    func providers() -> [ProviderKind] { instances.providers() }
    func template(of provider: ProviderKind) -> String { instances.template(of: provider) }

    func removeOrphan(_ instance: ObservedInstance) async throws { try await instances.removeOrphan(instance) }
}
