public import Base
import Database
public import Domain

// A job's turn: takes one environment as far as the job's action reaches.
extension EnvironmentService {
    /// Reconciles, and keeps spares, until cancelled.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await reconcileLoop() }
            group.addTask { try await spareLoop() }
            try await group.waitForAll()
        }
    }

    public func run(_ claim: JobClaim, interruption: Wakeup) async throws {
        if let action = SnapshotAction(rawValue: claim.action) { return try await run(action, claim) }
        var claim: JobClaim? = claim
        while let current = claim {
            let turn = try Turn(current, interruption)
            try await place(turn)
            var next = Next.look(isFirst: true)
            while case .look(let isFirst) = next {
                try Task.checkCancellation()
                next = try await step(turn, isFirst: isFirst)
            }
            if case .failed = next { break }
            claim = try await finish(turn)
        }
        jobs.wake()
    }

    /// One turn of a job.
    struct Turn: Sendable {
        let id: EnvironmentID
        let operation: EnvironmentOperation
        let claim: JobClaim
        /// Rung to break into a provider call.
        let interruption: Wakeup

        var organization: OrganizationID { claim.organizationID }

        init(_ claim: JobClaim, _ interruption: Wakeup) throws(BerthError) {
            guard let operation = EnvironmentOperation(rawValue: claim.action) else {
                throw BerthError(.internal, "there is no operation '\(claim.action.prefix(40))' of environments")
            }
            id = try EnvironmentID(claim.subject)
            self.operation = operation
            self.claim = claim
            self.interruption = interruption
        }
    }

    private enum Next {
        case look(isFirst: Bool)
        /// This operation can do no more.
        case finish
        /// The turn has ended badly, and is recorded.
        case failed
    }

    /// An environment that has no place yet is on this server's machine from now on. One of another server's is left to
    /// that one.
    private func place(_ turn: Turn) async throws {
        let stored = try await stored(turn.id, turn.organization, visibleTo: nil)
        guard stored.record.replicaID != replica else { return }
        let replica = replica
        let home = try await database.write { [self] connection in
            try jobs.check(turn.claim, in: connection)
            try connection.run(EnvironmentStore.place, turn.id, replica)
            let home = try read(turn.id, turn.organization, in: connection).record.replicaID ?? replica
            try jobs.place(turn.claim.subject, at: home, in: connection)
            return home
        }
        guard home == replica else { throw LostJob(turn.claim.id) }
    }

    /// What is left when this operation can do no more is another job's; in one transaction, so that nothing is forgotten.
    private func finish(_ turn: Turn) async throws -> JobClaim? {
        let now = time.now
        return try await database.write { [self] connection in
            if let again = try jobs.complete(turn.claim, in: connection) { return again }
            try demand(try read(turn.id, turn.organization, in: connection), at: now, in: connection)
            return nil
        }
    }

    /// One write and one provider call.
    private func step(_ turn: Turn, isFirst: Bool) async throws -> Next {
        let now = time.now
        let interruptions = turn.interruption.count
        let changed = try await change(turn.id, turn.organization, claim: turn.claim) { machine in
            guard let next = machine.next(at: now), turn.operation.covers(next) else { return }
            if isFirst { machine.takeUp(at: now) }
            if !machine.expire(at: now) { _ = machine.begin(at: now) }
        }
        let stored = changed.stored
        guard let effect = stored.machine.pending, let next = stored.machine.next(at: now),
            turn.operation.covers(next)
        else { return .finish }
        do {
            try await perform(effect, stored, turn, after: interruptions, isFresh: changed.before != .starting)
        } catch is Interrupted {
            return .look(isFirst: false)
        } catch let error as LostJob {
            throw error
        } catch let error as BerthError where error.code == .stale || error.code == .illegalTransition {
            log.debug("environment had moved on", ["environment_id": turn.id, "reason": error.message])
            return .look(isFirst: false)
        } catch {
            try Task.checkCancellation()
            try await fail(turn, BerthError(wrapping: error))
            return .failed
        }
        // A boot goes on by itself: its worker's word comes as an event.
        return effect == .start ? .finish : .look(isFirst: false)
    }
}
