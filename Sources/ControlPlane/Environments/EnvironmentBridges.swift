public import Base
public import Database
public import Domain
import Synchronization

/// An instance in a provider's own list.
public struct ObservedInstance: Sendable, Equatable {
    public var environmentID: EnvironmentID
    /// The last incarnation that was started; nil when none ever was.
    public var instance: Int64?
    public var condition: InstanceCondition
    /// How it ended, in words.
    public var words: String?

    public init(
        environmentID: EnvironmentID,
        instance: Int64?,
        condition: InstanceCondition,
        words: String? = nil
    ) {
        self.environmentID = environmentID
        self.instance = instance
        self.condition = condition
        self.words = words
    }
}

/// What environments need of the providers; wired by the composition root. Every call may be repeated.
public protocol InstanceProviding: Sendable {
    /// Throws `unsupported`, listing the providers there are, for one that this server does not have.
    func capabilities(of provider: ProviderKind) throws(BerthError) -> ProviderCapabilities
    /// Lays the environment's place, out of its origin where it has one. Returns what cannot be enforced for it, in words.
    func create(_ environment: EnvironmentRecord) async throws -> [String]
    /// Boots incarnation `environment.instance`; returns once it runs, before its worker is ready.
    func start(_ environment: EnvironmentRecord, token: Secret<String>) async throws
    func pause(_ environment: EnvironmentRecord) async throws
    func resume(_ environment: EnvironmentRecord) async throws
    /// Ends everything that runs in it; files stay.
    func stop(_ environment: EnvironmentRecord) async throws
    /// Removes every trace, in whatever state it is.
    func destroy(_ environment: EnvironmentRecord) async throws
    /// `absent` where the provider does not know it.
    func inspect(_ environment: EnvironmentRecord) async throws -> ObservedInstance
    /// Everything of this deployment that the provider has, known to the database or not.
    func list(_ provider: ProviderKind) async throws -> [ObservedInstance]
    func providers() -> [ProviderKind]
    /// Names what an environment of this provider is made from besides its specification: another text, another machine.
    func template(of provider: ProviderKind) -> String
    /// Keeps what runs, with its memory; one that was kept whole under this name before is left as it is.
    func snapshot(_ environment: EnvironmentRecord, as snapshot: SnapshotID) async throws
    /// The next start of what is stopped goes on from there.
    func restore(_ environment: EnvironmentRecord, to snapshot: SnapshotID) async throws
    func removeSnapshot(_ snapshot: SnapshotID, of provider: ProviderKind) async throws
    /// Destroys what `list` showed and no row knows.
    func removeOrphan(_ instance: ObservedInstance) async throws
}

/// What environments need of workers; wired by the composition root.
public protocol WorkerAdmission: Sendable {
    /// A token for this incarnation's worker; those of earlier ones stop working.
    func issueToken(organization: OrganizationID, owner: UserID?, environment: EnvironmentID, instance: Int64)
        async throws -> Secret<String>
    /// The incarnation has ended.
    func revoke(organization: OrganizationID, owner: UserID?, environment: EnvironmentID, upTo instance: Int64)
        async throws
    /// Before it rests: its workers are given nothing new until this is lifted or another incarnation boots.
    func setDraining(_ isDraining: Bool, environment: EnvironmentID)
    /// Whether a worker of this incarnation is connected and ready.
    func isReady(environment: EnvironmentID, instance: Int64) -> Bool
    /// What its worker lets out from now on; nothing where it is not connected here.
    func setNetwork(_ policy: NetworkPolicy, environment: EnvironmentID, instance: Int64) async
    /// Its worker is told that its environment is about to be somebody's, and has answered that it can be. Throws where
    /// it does not answer in time or refuses: because it is broken, or was claimed before.
    func claim(environment: EnvironmentID, instance: Int64, within limit: Duration) async throws
    /// The environment is another's from the commit on.
    func hand(
        _ environment: EnvironmentID,
        to organization: OrganizationID,
        owner: UserID?,
        in connection: any SQLConnection
    ) throws
    /// As above, after the commit: for what is connected.
    func handed(_ environment: EnvironmentID, instance: Int64, to organization: OrganizationID, owner: UserID?) async
    /// Executions that were given to its workers, as far as they are connected here.
    func heldCount(in environment: EnvironmentID) -> Int
    /// Has its worker say what goes on; `workerSaw` is called with the answer. False where none is connected here.
    func look(environment: EnvironmentID, instance: Int64) async -> Bool
}

/// What environments need of the job queues; wired by the composition root.
public protocol EnvironmentJobs: Sendable {
    func ensure(
        _ queue: WorkQueue,
        _ action: String,
        subject: String,
        organization: OrganizationID,
        owner: UserID?,
        home: ReplicaID?,
        in connection: any SQLConnection
    ) throws
    /// Throws `LostJob`.
    func check(_ claim: JobClaim, in connection: any SQLConnection) throws
    func place(_ subject: String, at home: ReplicaID, in connection: any SQLConnection) throws
    /// nil: the turn is over; else it was asked for again.
    func complete(_ claim: JobClaim, in connection: any SQLConnection) throws -> JobClaim?
    /// When the next turn comes; nil: there is none.
    func fail(_ claim: JobClaim, _ reason: FailureReason, isFinal: Bool, in transaction: FeedTransaction) throws
        -> Timestamp?
    func lose(_ claim: JobClaim, _ reason: FailureReason, in transaction: FeedTransaction) throws -> Timestamp?
    func interrupt(_ subject: String, in connection: any SQLConnection) throws
    func interruptHere(_ subject: String)
    func isOpen(_ subject: String) async throws -> Bool
    func openSubjects() async throws -> Set<String>
    func policy(_ queue: WorkQueue) -> JobPolicy
    func wake()
}

/// Who is to know what becomes of environments; wired by the composition root. Calls may be repeated.
public protocol EnvironmentObserver: Sendable {
    /// What ran in this incarnation, and those before it, is gone.
    func environmentEnded(
        _ environment: EnvironmentID,
        organization: OrganizationID,
        instance: Int64,
        _ reason: FailureReason
    ) async throws
    /// Executions that its workers hold: it is not paused under them.
    func openCount(in environment: EnvironmentID, organization: OrganizationID) async throws -> Int
    /// It came up, or can come up no more: what waits for it is looked at again.
    func environmentChanged(_ environment: EnvironmentID, organization: OrganizationID) async
}

/// Passes on to an observer that is made after the environments, because it needs them itself.
public final class EnvironmentRelay: EnvironmentObserver {
    private let bound = Mutex<(any EnvironmentObserver)?>(nil)

    public init() {}

    /// Once, before anything runs.
    public func bind(_ observer: any EnvironmentObserver) { bound.withLock { $0 = observer } }

    private var observer: any EnvironmentObserver {
        get throws {
            guard let observer = bound.withLock({ $0 }) else {
                throw BerthError(.internal, "the environments' observer is not bound")
            }
            return observer
        }
    }

    public func environmentEnded(
        _ environment: EnvironmentID,
        organization: OrganizationID,
        instance: Int64,
        _ reason: FailureReason
    ) async throws {
        try await observer.environmentEnded(environment, organization: organization, instance: instance, reason)
    }

    public func openCount(in environment: EnvironmentID, organization: OrganizationID) async throws -> Int {
        try await observer.openCount(in: environment, organization: organization)
    }

    public func environmentChanged(_ environment: EnvironmentID, organization: OrganizationID) async {
        await (try? observer)?.environmentChanged(environment, organization: organization)
    }
}
