public import Base
public import Domain

/// Makes and unmakes instances. Every call names the incarnation it means (`InstanceReference.instance`); a call about
/// an older one than the provider has seen is refused with `stale`. Calls may be repeated: a second create, start, pause,
/// resume, stop or destroy of what already is so returns without harm. A provider keeps no state in memory that it could not
/// find again, so that a restarted server goes on with the instances that live.
public protocol Provider: Sendable {
    var kind: ProviderKind { get }
    /// What this provider can do on this machine; what it cannot is refused with `unsupported`, never imitated.
    var capabilities: ProviderCapabilities { get }

    /// Names what its environments are made from: another text, another root or other programs inside.
    var template: String { get }
    /// Whose files its environments begin with; nil where they are this machine's own.
    var image: (name: String, isAvailable: Bool)? { get }

    /// Makes the environment's place and keeps the request there. Starts nothing.
    /// Throws `conflict` for another request about an environment that exists, `unsupported` for what cannot be done.
    func create(_ request: InstanceRequest) async throws -> InstanceDescription

    /// Boots incarnation `instance.instance` (greater than any before): holder, then worker. Returns once the holder runs.
    @discardableResult
    func start(_ instance: InstanceReference, _ launch: WorkerLaunch) async throws -> InstanceObservation

    /// Asks the holder to end everything, and kills what is left after `grace`. Files stay.
    func stop(_ instance: InstanceReference, grace: Duration) async throws

    func pause(_ instance: InstanceReference) async throws
    func resume(_ instance: InstanceReference) async throws

    /// Ends the instance in whatever state it is and removes every trace of it. An unknown environment is already so.
    func destroy(_ instance: InstanceReference) async throws

    /// Throws `notFound` for an environment that this provider does not have.
    func inspect(_ environment: EnvironmentID) async throws -> InstanceObservation

    /// What exists with this label, in the order of environment ids.
    func list(label: String) async throws -> [InstanceObservation]

    // MARK: - Where `capabilities.snapshots` says so; elsewhere each throws `unsupported`.

    /// Keeps a living instance with its memory and its disk. It is held meanwhile, and runs on if it ran before.
    func snapshot(_ instance: InstanceReference, as snapshot: SnapshotID) async throws

    /// As ``create(_:)``, out of a snapshot: the first start goes on where it was made, with the processes of then, and
    /// with names, token, clock and entropy of its own. Throws `conflict` for limits or a network that differ.
    func fork(_ snapshot: SnapshotID, _ request: InstanceRequest) async throws -> InstanceDescription

    /// The next start of a stopped environment goes on where the snapshot was made; what came after is lost.
    func restore(_ environment: EnvironmentID, to snapshot: SnapshotID) async throws

    /// What is kept, in the order of ids.
    func snapshots() async throws -> [SnapshotID]

    /// An unknown one is already so. What was forked from it lives on.
    func removeSnapshot(_ snapshot: SnapshotID) async throws
}

extension Provider {
    public func snapshot(_ instance: InstanceReference, as snapshot: SnapshotID) async throws {
        throw capabilities.unsupported("keep an environment with its memory")
    }

    public func fork(_ snapshot: SnapshotID, _ request: InstanceRequest) async throws -> InstanceDescription {
        throw capabilities.unsupported("fork an environment")
    }

    public func restore(_ environment: EnvironmentID, to snapshot: SnapshotID) async throws {
        throw capabilities.unsupported("go back to a snapshot")
    }

    public func snapshots() async throws -> [SnapshotID] { [] }

    public func removeSnapshot(_ snapshot: SnapshotID) async throws {}
}

extension Provider {
    public var template: String { "" }
    public var image: (name: String, isAvailable: Bool)? { nil }
}
