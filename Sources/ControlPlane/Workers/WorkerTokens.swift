public import Base
import Crypto
public import Database
import Domain
import WorkerProtocol

/// Who a worker is: tokens, of which only hashes are kept.
public struct WorkerTokens: Sendable {
    private let database: any SQLDatabase
    private let feed: Feed
    let registry: WorkerRegistry
    let time: any TimeSource
    private let ids: IDSource
    let randomness: any Randomness
    /// Of workers that stand alone: SHA-256 of the token, and the organization; from configuration.
    private let standing: [(hash: [UInt8], organization: OrganizationID)]

    /// - Parameter randomness: the system's: tokens are made from it.
    public init(
        database: any SQLDatabase,
        feed: Feed,
        registry: WorkerRegistry,
        time: any TimeSource,
        ids: IDSource,
        randomness: any Randomness,
        standing: [(token: Secret<String>, organization: OrganizationID)] = []
    ) {
        self.database = database
        self.feed = feed
        self.registry = registry
        self.time = time
        self.ids = ids
        self.randomness = randomness
        self.standing = standing.map { (AccessToken.hash($0.token), $0.organization) }
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] { WorkerStore.statements }

    /// Whether a worker of this incarnation is connected and ready.
    public func isReady(environment: EnvironmentID, instance: Int64) -> Bool {
        registry.isReady(environment: environment, instance: instance)
    }

    /// The token of one incarnation's worker; those of earlier incarnations stop working. Only its hash is kept.
    public func issueToken(
        organization: OrganizationID,
        owner: UserID?,
        environment: EnvironmentID,
        instance: Int64
    ) async throws -> Secret<String> {
        let token = AccessToken.make(.worker, randomness)
        let hash = token.hash
        let id: WorkerID = ids.make()
        let now = time.now
        _ = try await feed.transaction(organization: organization) { transaction in
            try transaction.run(WorkerStore.revokeEarlier, organization, environment, instance - 1, now)
            try transaction.run(
                WorkerStore.insertForInstance,
                id,
                organization,
                owner,
                environment,
                instance,
                environment.text,
                hash,
                now
            )
            transaction.record(
                NewEvent("worker.registered", subject: id, ownerID: owner, at: now)
            )
        }
        return token.text
    }

    /// Whether the environment's workers are given anything new.
    public func setDraining(_ isDraining: Bool, environment: EnvironmentID) {
        registry.setDraining(isDraining, environment: environment)
    }

    /// Executions that an environment's connected workers have, be it only on the way.
    public func heldCount(in environment: EnvironmentID) -> Int { registry.heldCount(in: environment) }

    /// Has an incarnation's worker say what goes on. False where none is connected here.
    public func look(environment: EnvironmentID, instance: Int64) async -> Bool {
        await registry.entry(environment: environment, instance: instance)?.link?.send(.look(.init())) ?? false
    }

    /// The instance has ended: its token stops working, and a connection that is still there is closed.
    public func revoke(organization: OrganizationID, owner: UserID?, environment: EnvironmentID, upTo instance: Int64)
        async throws
    {
        for link in registry.links(environment: environment, upTo: instance) {
            await link.close(code: 1008, reason: "this incarnation of the environment has ended")
            await link.disconnected()
        }
        let now = time.now
        _ = try await feed.transaction(organization: organization) { transaction in
            let count = try transaction.run(WorkerStore.revokeEarlier, organization, environment, instance, now)
            guard count > 0 else { return }
            transaction.record(NewEvent("worker.revoked", subject: environment, ownerID: owner, at: now))
        }
    }

    /// Who holds this token: throws `unauthenticated`.
    public func authenticate(token: Secret<String>) async throws -> WorkerIdentity {
        let hash = AccessToken.hash(token)
        if let row = try await database.read({ try $0.first(WorkerStore.byToken, hash) }) {
            return try WorkerStore.identity(row)
        }
        // Hashes of unguessable tokens: comparing them tells nothing about a token.
        if let match = standing.first(where: { $0.hash == hash }) {
            return WorkerIdentity(organizationID: match.organization, ownerID: nil, place: .alone)
        }
        if let row = try await database.read({ try $0.first(WorkerStore.revokedByToken, hash) }) {
            throw BerthError(
                .unauthenticated,
                "the token of worker \(try row.text("id")) was revoked: its machine has been stopped or destroyed",
                remedy: "start the environment again; its worker gets a new token"
            )
        }
        throw BerthError(
            .unauthenticated,
            "the worker token is not valid",
            remedy: "set the server's workerToken (BERTH_WORKER_TOKEN) to the token that the worker presents"
        )
    }
}
