import Base
import Database
import Domain

/// What a job does with a snapshot.
enum SnapshotAction: String {
    case make = "snapshot"
    case remove = "removeSnapshot"
}

// A snapshot's job, and what the reconciler does for those that have none.
extension EnvironmentService {
    func demand(_ snapshot: SnapshotRecord, in connection: any SQLConnection) throws {
        let action: SnapshotAction
        switch snapshot.state {
        case .making: action = .make
        case .removing: action = .remove
        case .ready, .failed: return
        }
        try jobs.ensure(
            .control,
            action.rawValue,
            subject: snapshot.id.text,
            organization: snapshot.organizationID,
            owner: snapshot.ownerID,
            home: snapshot.replicaID,
            in: connection
        )
    }

    func run(_ action: SnapshotAction, _ claim: JobClaim) async throws {
        let id = try SnapshotID(claim.subject)
        let found = try await database.read { try $0.first(SnapshotStore.byID, id).map(SnapshotStore.record) }
        do {
            switch (found, action) {
            case (let snapshot?, .make) where snapshot.state == .making: try await make(snapshot)
            case (let snapshot?, .remove) where snapshot.state == .removing:
                try await instances.removeSnapshot(snapshot.id, of: snapshot.spec.provider)
            default: break
            }
        } catch {
            try Task.checkCancellation()
            return try await end(claim, id, BerthError(wrapping: error)) { [jobs] error, transaction in
                try jobs.fail(claim, FailureReason(error), isFinal: !error.mayPass, in: transaction)
            }
        }
        try await settle(claim, id)
    }

    /// A killed server may have left one that is whole.
    private func make(_ snapshot: SnapshotRecord) async throws {
        let environment = try await get(
            snapshot.environmentID,
            organization: snapshot.organizationID,
            visibleTo: nil
        )
        guard environment.instance == snapshot.instance, [.running, .paused].contains(environment.state) else {
            throw BerthError(
                .conflict,
                "'\(environment.name)' no longer runs as it did when the snapshot was asked for",
                remedy: "take another"
            )
        }
        let left = max(.seconds(1), (snapshot.deadlineAt ?? time.now) - time.now)
        let instances = instances
        try await withDeadline(left, time: time, what: "the provider's answer") {
            try await instances.snapshot(environment, as: snapshot.id)
        }
    }

    private func settle(_ claim: JobClaim, _ id: SnapshotID) async throws {
        let now = time.now
        let environment = try await withMovingRows {
            try await feed.transaction(organization: claim.organizationID) { [self] transaction -> EnvironmentID? in
                try jobs.check(claim, in: transaction)
                let known = try transaction.first(SnapshotStore.byID, id).map(SnapshotStore.record)
                switch known?.state {
                case .making:
                    guard let known else { break }
                    var machine = known.machine
                    try machine.made()
                    try SnapshotStore.write(machine, over: known, at: now, in: transaction)
                    let after = try Self.known(id, of: known.environmentID, in: transaction)
                    transaction.record(try Self.fact("snapshot.ready", after, by: nil, at: now))
                case .removing where claim.action == SnapshotAction.remove.rawValue:
                    guard let known else { break }
                    try transaction.run(SnapshotStore.end, id)
                    transaction.record(try Self.fact("snapshot.removed", known, by: nil, at: now))
                case .ready, .failed, .removing, nil: break
                }
                // Asked for again meanwhile: it is as it should be.
                var current = claim
                while let again = try jobs.complete(current, in: transaction) { current = again }
                return known?.environmentID
            }
            .value
        }
        if let environment { bells.ring(environment) }
        jobs.wake()
    }

    /// A turn that ended badly. One that cannot be made is recorded as failed; one that cannot be removed is tried again at
    /// the next look.
    func end(
        _ claim: JobClaim,
        _ id: SnapshotID,
        _ error: BerthError,
        _ end: @escaping @Sendable (BerthError, FeedTransaction) throws -> Timestamp?
    ) async throws {
        log.warning("snapshot failed", ["snapshot_id": id, "code": error.code, "error": error.message])
        let now = time.now
        let environment = try await withMovingRows {
            try await feed.transaction(organization: claim.organizationID) { [self] transaction -> EnvironmentID? in
                let next = try end(error, transaction)
                guard next == nil, let known = try transaction.first(SnapshotStore.byID, id).map(SnapshotStore.record),
                    known.state == .making
                else { return nil }
                try fail(known, FailureReason(error), at: now, in: transaction)
                return known.environmentID
            }
            .value
        }
        if let environment { bells.ring(environment) }
        jobs.wake()
    }

    private func fail(
        _ known: SnapshotRecord,
        _ reason: FailureReason,
        at now: Timestamp,
        in transaction: FeedTransaction
    ) throws {
        var machine = known.machine
        try machine.fail(reason)
        try SnapshotStore.write(machine, over: known, at: now, in: transaction)
        let after = try Self.known(known.id, of: known.environmentID, in: transaction)
        transaction.record(try Self.fact("snapshot.failed", after, by: nil, at: now))
    }

    /// Part of the reconciler: jobs for what is under way and has none, an end for what took too long, and the removal of
    /// what nobody needs any more.
    func reconcileSnapshots() async throws {
        let (now, replica) = (time.now, replica)
        let (underWay, useless) = try await database.read { connection in
            (
                try connection.rows(SnapshotStore.underWay, replica).map(SnapshotStore.record),
                try connection.rows(SnapshotStore.useless, replica).map(SnapshotStore.record)
            )
        }
        guard !underWay.isEmpty || !useless.isEmpty else { return }
        let open = try await jobs.openSubjects()
        for snapshot in underWay where !open.contains(snapshot.id.text) {
            try await moved(snapshot) { [self] known, transaction in
                var machine = known.machine
                if machine.expire(at: now), let reason = machine.reason {
                    try fail(known, reason, at: now, in: transaction)
                } else {
                    try demand(known, in: transaction)
                }
            }
            bells.ring(snapshot.environmentID)
        }
        for snapshot in useless {
            try await moved(snapshot) { [self] known, transaction in
                guard try transaction.first(SnapshotStore.users, known.id) == nil else { return }
                _ = try remove(known, by: nil, at: now, in: transaction)
            }
        }
        jobs.wake()
    }

    /// What it has become since it was looked at.
    private func moved(
        _ snapshot: SnapshotRecord,
        _ body: @escaping @Sendable (SnapshotRecord, FeedTransaction) throws -> Void
    ) async throws {
        _ = try await withMovingRows {
            try await feed.transaction(organization: snapshot.organizationID) { transaction in
                guard let row = try transaction.first(SnapshotStore.byID, snapshot.id) else { return }
                try body(try SnapshotStore.record(row), transaction)
            }
        }
    }

    /// Returns when what the environment is to be made out of is there.
    func awaitOrigin(_ snapshot: SnapshotID) async throws {
        var bell: Wakeup?
        while true {
            let count = bell?.count ?? 0
            let found = try await database.read { try $0.first(SnapshotStore.byID, snapshot).map(SnapshotStore.record) }
            guard let found, found.state != .removing else {
                throw BerthError(.notFound, "there is no snapshot \(snapshot) any more", remedy: "fork another")
            }
            switch found.state {
            case .ready, .removing: return
            case .failed:
                throw BerthError(
                    .conflict,
                    "what it was to be made out of could not be kept: \(found.failure?.message ?? "unknown")",
                    remedy: "destroy it and fork again"
                )
            case .making:
                guard let known = bell else {
                    bell = bells.bell(for: found.environmentID)
                    continue
                }
                try await known.wait(after: count, until: time.uptime + .seconds(5), time: time)
            }
        }
    }
}
