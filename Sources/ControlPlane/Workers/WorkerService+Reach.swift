public import Base
import Database
import Domain
public import WorkerProtocol

// The way to a worker, for those who pass bytes through its connection.
extension WorkerService {
    /// A worker that stands alone, by id or by the name that it gave itself.
    public func standing(_ nameOrID: String, organization: OrganizationID) async throws -> WorkerID {
        let row = try await database.read { try $0.first(WorkerStore.standing, organization, nameOrID) }
        guard let row else {
            throw BerthError(
                .notFound,
                "there is no worker '\(nameOrID.prefix(80))' that stands alone",
                field: "workerId",
                remedy: "workers of environments are reached by their environment"
            )
        }
        return try row.id("id")
    }

    /// The socket of a connected worker that opens TCP connections. Throws `unavailable` while it is away and
    /// `unsupported` when it knows nothing of them.
    public func socket(of worker: WorkerID) throws(BerthError) -> any LinkTransport {
        try Self.socket(registry.entry(worker))
    }

    /// As ``socket(of:)``, for the worker of an environment's incarnation.
    public func socket(
        environment: EnvironmentID,
        instance: Int64,
        having capability: String = ServerMessage.tcpCapability
    ) throws(BerthError) -> any LinkTransport {
        try Self.socket(registry.entry(environment: environment, instance: instance), having: capability)
    }

    /// The server that a worker is connected to, or was last; nil where it never was.
    public func replica(of worker: WorkerID) async throws -> ReplicaID? {
        try await database.read { try $0.first(WorkerStore.replicaOf, worker)?.optionalID("replica_id") }
    }

    /// As ``replica(of:)``, for the worker of an environment's incarnation.
    public func replica(environment: EnvironmentID, instance: Int64) async throws -> ReplicaID? {
        try await database.read { connection in
            try connection.first(WorkerStore.replicaIn, environment, instance)?.optionalID("replica_id")
        }
    }

    private static func socket(
        _ entry: WorkerRegistry.Entry?,
        having capability: String = ServerMessage.tcpCapability
    ) throws(BerthError) -> any LinkTransport {
        guard let entry, let link = entry.link else {
            throw BerthError(.unavailable, "its worker is away; it comes back by itself", isRetryable: true)
        }
        guard entry.candidate.capabilities.contains(capability) else {
            throw BerthError(
                .unsupported,
                "its worker is older than this server and cannot do this",
                remedy: "start the environment again: it then gets the worker of this server"
            )
        }
        return link.transport
    }
}
