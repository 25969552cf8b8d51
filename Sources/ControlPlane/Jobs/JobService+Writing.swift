public import Base
public import Database
public import Domain

// Within the transactions of those whose things the jobs are about.
extension JobService {
    /// Sees to it that somebody will look at `subject`: one open job for each thing and action, however often it is asked
    /// for. One that is being run looks again before it ends.
    /// - Parameter home: the server that alone can run it; nil: any.
    public func ensure(
        _ queue: WorkQueue,
        _ action: String,
        subject: String,
        organization: OrganizationID,
        owner: UserID?,
        home: ReplicaID?,
        in connection: any SQLConnection
    ) throws {
        guard try connection.run(JobStore.ask, subject, action) == 0 else { return }
        let id: JobID = ids.make()
        try connection.run(
            JobStore.insert,
            id,
            organization,
            owner,
            queue.rawValue,
            action,
            subject,
            home,
            time.now
        )
    }

    /// Throws `LostJob` where the turn has passed to somebody else; keeps it until the transaction ends.
    public func check(_ claim: JobClaim, in connection: any SQLConnection) throws {
        let found = try connection.first(
            store.held,
            claim.id,
            claim.attempt,
            claim.holder.replica,
            claim.holder.fence
        )
        guard found != nil else { throw LostJob(claim.id) }
    }

    /// Only this server can run what is open for the subject from now on.
    public func place(_ subject: String, at home: ReplicaID, in connection: any SQLConnection) throws {
        try connection.run(JobStore.place, subject, home)
    }

    /// Ends the turn well. Returns nil, or the claim to go on with, because it was asked for again since it last looked.
    public func complete(_ claim: JobClaim, in connection: any SQLConnection) throws -> JobClaim? {
        let record = try own(claim, in: connection)
        let now = time.now
        var machine = machine(record)
        try machine.complete(attempt: claim.attempt)
        guard record.wishes == claim.wishes,
            try write(machine, over: record, wishes: claim.wishes, at: now, in: connection)
        else {
            var again = claim
            again.wishes = try own(claim, in: connection).wishes
            return again
        }
        try end(claim, .completed, nil, at: now, in: connection)
        try trim(claim, .completed, in: connection)
        return nil
    }

    /// Ends the turn badly, and tells of it in the feed. Returns when the next one comes; nil: there is none.
    /// - Parameter isFinal: another try would bring the same.
    public func fail(
        _ claim: JobClaim,
        _ reason: FailureReason,
        isFinal: Bool,
        in transaction: FeedTransaction
    ) throws -> Timestamp? {
        try fail(claim, reason, .failed, in: transaction) { machine, now in
            try machine.fail(
                attempt: claim.attempt,
                reason,
                isFinal: isFinal,
                at: now,
                fraction: randomness.fraction()
            )
        }
    }

    /// Its holder is gone. As ``fail(_:_:isFinal:in:)``.
    public func lose(_ claim: JobClaim, _ reason: FailureReason, in transaction: FeedTransaction) throws -> Timestamp? {
        try fail(claim, reason, .lost, in: transaction) { machine, now in
            try machine.lose(attempt: claim.attempt, at: now)
        }
    }

    private func fail(
        _ claim: JobClaim,
        _ reason: FailureReason,
        _ outcome: JobAttempt.Outcome,
        in transaction: FeedTransaction,
        _ event: (inout JobMachine, Timestamp) throws -> Timestamp?
    ) throws -> Timestamp? {
        let record = try own(claim, in: transaction)
        let now = time.now
        var machine = machine(record)
        let next = try event(&machine, now)
        guard try write(machine, over: record, failure: reason, at: now, in: transaction) else {
            throw LostJob(claim.id)
        }
        try end(claim, outcome, reason, at: now, in: transaction)
        if next == nil { try trim(claim, .failed, in: transaction) }
        transaction.record(
            NewEvent(
                next == nil ? "job.failed" : "job.retried",
                subject: claim.id,
                ownerID: record.ownerID,
                payload: try JSONColumn.text(JobFact(record, machine, reason, next)),
                at: now
            )
        )
        return next
    }

    private func own(_ claim: JobClaim, in connection: any SQLConnection) throws -> JobRecord {
        guard let row = try connection.first(JobStore.byID, claim.id) else { throw LostJob(claim.id) }
        let record = try JobStore.record(row, policies)
        guard record.state == .active, record.attempt == claim.attempt, record.holder == claim.holder else {
            throw LostJob(claim.id)
        }
        return record
    }

    func end(
        _ claim: JobClaim,
        _ outcome: JobAttempt.Outcome,
        _ reason: FailureReason?,
        at now: Timestamp,
        in connection: any SQLConnection
    ) throws {
        try connection.run(
            JobStore.endAttempt,
            claim.id,
            claim.attempt,
            now,
            outcome.rawValue,
            reason?.code.rawValue,
            reason?.message
        )
    }

    private func trim(_ claim: JobClaim, _ state: JobState, in connection: any SQLConnection) throws {
        let kept = policy(claim.queue).kept
        for statement in [JobStore.surplusAttempts, JobStore.surplusJobs] {
            try connection.run(statement, claim.organizationID, claim.queue.rawValue, state.rawValue, kept)
        }
    }

    // MARK: Breaking in

    /// Breaks into the turn that the subject has now, wherever it is. To be followed by ``interruptHere(_:)``.
    public func interrupt(_ subject: String, in connection: any SQLConnection) throws {
        if database.dialect.isShared { try connection.run(JobStore.interrupt, subject) }
    }

    /// After the commit: breaks into it if this server runs it; others look for themselves.
    public func interruptHere(_ subject: String) { running.interrupt(subject) }

    // MARK: Looking

    public func isOpen(_ subject: String) async throws -> Bool {
        try await database.read { try $0.first(JobStore.isOpen, subject) != nil }
    }

    /// Things that somebody will look at, or does now.
    public func openSubjects() async throws -> Set<String> {
        Set(try await database.read { try $0.rows(JobStore.openSubjects).map { try $0.text("subject") } })
    }
}

/// Payload of a job's events.
private struct JobFact: Encodable {
    var queue: WorkQueue
    var action: String
    var subject: String
    var attempt: Int
    var failures: Int
    var losses: Int
    var maximumAttempts: Int
    var code: ErrorCode
    var message: String
    var nextAt: Timestamp?

    init(_ record: JobRecord, _ machine: JobMachine, _ reason: FailureReason, _ next: Timestamp?) {
        queue = record.queue
        action = record.action
        subject = record.subject
        attempt = machine.attempt
        failures = machine.failures
        losses = machine.losses
        maximumAttempts = record.maximumAttempts
        code = reason.code
        message = reason.message
        nextAt = next
    }
}
