import Base
import Database
public import Domain

// Turns that ended badly.
extension EnvironmentService {
    func fail(_ turn: Turn, _ error: BerthError) async throws {
        log.warning(
            "environment operation failed",
            ["environment_id": turn.id, "operation": turn.operation, "code": error.code, "error": error.message]
        )
        let tries = jobs.policy(turn.claim.queue).maximumAttempts
        let what = "try \(turn.claim.failures + 1) of \(tries) failed: \(error.message)"
        try await end(turn.claim, turn.operation, error, what) { [jobs] transaction in
            try jobs.fail(turn.claim, FailureReason(error), isFinal: !error.mayPass, in: transaction)
        }
    }

    /// The server that ran the job went away; the next one takes it up where the row stands.
    public func lost(_ claim: JobClaim, _ reason: FailureReason) async throws {
        if SnapshotAction(rawValue: claim.action) != nil {
            let error = BerthError(reason.code, reason.message, remedy: reason.remedy)
            return try await end(claim, try SnapshotID(claim.subject), error) { [jobs] _, transaction in
                try jobs.lose(claim, reason, in: transaction)
            }
        }
        guard let operation = EnvironmentOperation(rawValue: claim.action) else {
            throw BerthError(.internal, "there is no operation '\(claim.action.prefix(40))' of environments")
        }
        let error = BerthError(reason.code, reason.message, remedy: reason.remedy)
        try await end(claim, operation, error, reason.message) { [jobs] transaction in
            try jobs.lose(claim, reason, in: transaction)
        }
    }

    /// Ends a turn, and says in the environment's row what happened and when the next one comes, or that none does: in one
    /// transaction.
    private func end(
        _ claim: JobClaim,
        _ operation: EnvironmentOperation,
        _ error: BerthError,
        _ what: String,
        _ end: @escaping @Sendable (FeedTransaction) throws -> Timestamp?
    ) async throws {
        let id = try EnvironmentID(claim.subject)
        let now = time.now
        let changed = try await withMovingRows {
            try await feed.transaction(organization: claim.organizationID) {
                [self] transaction -> EnvironmentRecord? in
                let next = try end(transaction)
                let stored = try read(id, claim.organizationID, in: transaction)
                var machine = stored.machine
                guard let due = machine.next(at: now), operation.covers(due) else {
                    // It is wanted otherwise by now.
                    try demand(stored, at: now, in: transaction)
                    return nil
                }
                var message: String?
                if let next {
                    machine.awaitNextTry(at: next)
                    message = "\(what); the next try is at \(next)"
                } else {
                    if machine.operation == nil { _ = machine.begin(at: now) }
                    guard let operation = machine.operation else { return nil }
                    try machine.fail(EnvironmentCause(operation, error))
                }
                guard machine != stored.machine else { return nil }
                return try write(machine, over: stored, message: message, at: now, in: transaction).record
            }
            .value
        }
        if let changed { await tell(changed) }
        jobs.wake()
    }
}

extension BerthError {
    /// Whether the same call may succeed later.
    var mayPass: Bool {
        switch code {
        case .unsupported, .invalidValue, .invalidRequest, .invalidPath, .invalidIdentifier, .forbidden,
            .imageUnavailable, .agentMissing, .schemaMismatch, .notFound, .conflict:
            false
        default: true
        }
    }
}
