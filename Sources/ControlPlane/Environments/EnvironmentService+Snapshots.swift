public import Base
import Database
public import Domain
import FoundationEssentials

// Snapshots, forks and the way back: what people ask for.
extension EnvironmentService {
    /// Of one environment; each is as large as its memory and its disk.
    static let mostSnapshots: Int64 = 10

    /// Keeps it as it is now, memory and disk; it is held for a moment meanwhile. Returns at once; a job makes it.
    public func snapshot(_ id: EnvironmentID, organization: OrganizationID, by user: UserID, visibleTo: UserID?)
        async throws -> SnapshotRecord
    {
        let environment = try await keepable(id, organization, visibleTo, to: "keep an environment with its memory")
        let snapshot = try await feed.transaction(organization: organization) { [self] transaction in
            try begin(of: id, organization, isTransient: false, by: user, in: transaction)
        }
        .value
        jobs.wake()
        log.info("snapshot wanted", ["environment_id": environment.id, "snapshot_id": snapshot.id])
        return snapshot
    }

    /// Newest first; of forks that are being made too.
    public func snapshots(of id: EnvironmentID, organization: OrganizationID, visibleTo: UserID?) async throws
        -> [SnapshotRecord]
    {
        _ = try await get(id, organization: organization, visibleTo: visibleTo)
        return try await database.read { try $0.rows(SnapshotStore.ofEnvironment, id).map(SnapshotStore.record) }
    }

    public func snapshot(
        _ snapshot: SnapshotID,
        of id: EnvironmentID,
        organization: OrganizationID,
        visibleTo: UserID?
    ) async throws -> SnapshotRecord {
        _ = try await get(id, organization: organization, visibleTo: visibleTo)
        return try await database.read { try Self.known(snapshot, of: id, in: $0) }
    }

    /// What was forked from it lives on. Refused while an environment is to be made out of it.
    public func removeSnapshot(
        _ snapshot: SnapshotID,
        of id: EnvironmentID,
        organization: OrganizationID,
        by user: UserID,
        visibleTo: UserID?
    ) async throws -> SnapshotRecord {
        _ = try await get(id, organization: organization, visibleTo: visibleTo)
        let now = time.now
        let removed = try await withMovingRows {
            try await feed.transaction(organization: organization) { [self] transaction in
                let known = try Self.known(snapshot, of: id, in: transaction)
                if let other = try transaction.first(SnapshotStore.users, snapshot) {
                    throw BerthError(
                        .conflict,
                        "environment '\(try other.text("name"))' is about to go on from it",
                        field: "snapshotId",
                        remedy: "wait until that runs, then remove it"
                    )
                }
                return try remove(known, by: user, at: now, in: transaction)
            }
            .value
        }
        jobs.wake()
        return removed
    }

    /// Another environment that goes on from here: from a snapshot, or with nil from what it is now. Its place of the
    /// quota is taken before anything is made.
    public func fork(
        _ id: EnvironmentID,
        from snapshot: SnapshotID?,
        name: String?,
        organization: OrganizationID,
        by user: UserID,
        visibleTo: UserID?
    ) async throws -> EnvironmentRecord {
        let source = try await get(id, organization: organization, visibleTo: visibleTo)
        let capabilities = try keeping(source, to: "fork an environment")
        var spec = source.spec
        if let snapshot {
            spec = try await database.read { try Self.usable(snapshot, of: id, in: $0) }.spec
        } else {
            try Self.checkLives(source)
        }
        var request = NewEnvironment(
            organizationID: organization,
            ownerID: user,
            name: name,
            ownership: source.ownership == .organization ? .organization : .further,
            spec: spec,
            autoStopMinutes: source.autoStopMinutes
        )
        request.idleStopMinutes = source.idleStopMinutes
        _ = try validate(request)
        return try await insert(request, capabilities) { [self] transaction in
            if let snapshot { return try Self.usable(snapshot, of: id, in: transaction) }
            return try begin(of: id, organization, isTransient: true, by: user, in: transaction)
        }
    }

    /// It goes back to where the snapshot was made, and runs on from there; what came after is lost. With nil the newest.
    public func restore(
        _ id: EnvironmentID,
        to snapshot: SnapshotID?,
        organization: OrganizationID,
        by user: UserID,
        visibleTo: UserID?
    ) async throws -> EnvironmentRecord {
        _ = try await keepable(id, organization, visibleTo, to: "go back to a snapshot")
        let now = time.now
        let after = try await withMovingRows {
            try await feed.transaction(organization: organization) { [self] transaction -> EnvironmentRecord in
                let stored = try read(id, organization, in: transaction)
                let goal =
                    try snapshot.map { try Self.usable($0, of: id, in: transaction) }
                    ?? Self.newest(of: stored.record, in: transaction)
                guard goal.state == .ready else { throw Self.notYet(goal) }
                var machine = stored.machine
                try machine.goBack(at: now)
                try transaction.run(SnapshotStore.setRestore, id, goal.id)
                try transaction.run(EnvironmentStore.used, id, now)
                let words = "going back to \(goal.id), made \(goal.createdAt)"
                let after = try write(machine, over: stored, actor: user, message: words, at: now, in: transaction)
                try demand(after, at: now, in: transaction)
                return after.record
            }
            .value
        }
        await tell(after)
        jobs.wake()
        return after
    }

    // MARK: Rows

    private func keepable(_ id: EnvironmentID, _ organization: OrganizationID, _ user: UserID?, to what: String)
        async throws -> EnvironmentRecord
    {
        let record = try await get(id, organization: organization, visibleTo: user)
        _ = try keeping(record, to: what)
        return record
    }

    private func keeping(_ record: EnvironmentRecord, to what: String) throws -> ProviderCapabilities {
        let capabilities = try instances.capabilities(of: record.spec.provider)
        guard capabilities.snapshots else {
            let able = try instances.providers().filter { try instances.capabilities(of: $0).snapshots }
            throw BerthError(
                .unsupported,
                "the provider '\(record.spec.provider)' cannot \(what)",
                field: "provider",
                remedy: able.isEmpty
                    ? "no provider of this server can"
                    : "make the environment with --provider \(able.map(\.rawValue).joined(separator: " or "))"
            )
        }
        return capabilities
    }

    private static func checkLives(_ record: EnvironmentRecord) throws(BerthError) {
        guard [.running, .paused].contains(record.state) else {
            throw .illegal("environment", from: record.state, to: "kept", remedy: "start it first")
        }
    }

    /// A row and its job.
    private func begin(
        of id: EnvironmentID,
        _ organization: OrganizationID,
        isTransient: Bool,
        by user: UserID,
        in transaction: FeedTransaction
    ) throws -> SnapshotRecord {
        let environment = try read(id, organization, in: transaction).record
        try Self.checkLives(environment)
        let kept = try transaction.first(SnapshotStore.count, id)?.integer("count") ?? 0
        guard isTransient || kept < Self.mostSnapshots else {
            throw BerthError(
                .quotaExceeded,
                "'\(environment.name)' has \(kept) snapshots, and no more are kept of one environment",
                field: "snapshots",
                remedy: "remove one with 'berth env snapshots \(environment.name) --remove ID'"
            )
        }
        let now = time.now
        let machine = SnapshotMachine.begun(at: now)
        let snapshot: SnapshotID = ids.make()
        try transaction.run(
            SnapshotStore.insert,
            snapshot,
            organization,
            id,
            environment.ownerID,
            environment.instance,
            try EnvironmentStore.text(environment.spec),
            machine.state.rawValue,
            isTransient ? 1 : 0,
            now,
            machine.deadlineAt,
            environment.replicaID
        )
        try transaction.run(EnvironmentStore.used, id, now)
        let record = try Self.known(snapshot, of: id, in: transaction)
        transaction.record(try Self.fact("snapshot.requested", record, by: user, at: now))
        try demand(record, in: transaction)
        return record
    }

    func remove(_ known: SnapshotRecord, by user: UserID?, at now: Timestamp, in transaction: FeedTransaction) throws
        -> SnapshotRecord
    {
        var machine = known.machine
        machine.remove()
        guard machine != known.machine else { return known }
        try SnapshotStore.write(machine, over: known, at: now, in: transaction)
        let record = try Self.known(known.id, of: known.environmentID, in: transaction)
        transaction.record(try Self.fact("snapshot.removing", record, by: user, at: now))
        try demand(record, in: transaction)
        return record
    }

    static func known(_ snapshot: SnapshotID, of id: EnvironmentID, in connection: any SQLConnection) throws
        -> SnapshotRecord
    {
        let record = try connection.first(SnapshotStore.byID, snapshot).map(SnapshotStore.record)
        guard let record, record.environmentID == id else {
            throw BerthError(
                .notFound,
                "the environment has no snapshot \(snapshot)",
                field: "snapshotId",
                remedy: "list them with 'berth env snapshots'"
            )
        }
        return record
    }

    /// One that is there, or will be.
    private static func usable(_ snapshot: SnapshotID, of id: EnvironmentID, in connection: any SQLConnection) throws
        -> SnapshotRecord
    {
        let record = try known(snapshot, of: id, in: connection)
        switch record.state {
        case .ready, .making: return record
        case .failed:
            throw BerthError(
                .conflict,
                "\(snapshot) could not be made: \(record.failure?.message ?? "the cause was not recorded")",
                field: "snapshotId",
                remedy: "take another"
            )
        case .removing: throw BerthError.illegal("snapshot", from: record.state, to: "used", remedy: "use another")
        }
    }

    private static func newest(of environment: EnvironmentRecord, in connection: any SQLConnection) throws
        -> SnapshotRecord
    {
        guard let row = try connection.first(SnapshotStore.newest, environment.id) else {
            throw BerthError(
                .notFound,
                "'\(environment.name)' has no snapshot",
                field: "snapshotId",
                remedy: "take one with 'berth env snapshot \(environment.name)'"
            )
        }
        return try SnapshotStore.record(row)
    }

    static func notYet(_ snapshot: SnapshotRecord) -> BerthError {
        BerthError(
            .illegalTransition,
            "\(snapshot.id) is still being made",
            field: "snapshotId",
            remedy: "wait for it",
            isRetryable: true
        )
    }

    static func fact(_ type: String, _ record: SnapshotRecord, by actor: UserID?, at: Timestamp) throws -> NewEvent {
        struct Fact: Encodable {
            var environmentId: EnvironmentID
            var state: SnapshotState
            var instance: Int64
            var failure: FailureReason?
        }
        let fact = Fact(
            environmentId: record.environmentID,
            state: record.state,
            instance: record.instance,
            failure: record.failure
        )
        return NewEvent(
            type,
            subject: record.id,
            ownerID: record.ownerID,
            actorID: actor,
            payload: try EnvironmentStore.text(fact),
            at: at
        )
    }
}
