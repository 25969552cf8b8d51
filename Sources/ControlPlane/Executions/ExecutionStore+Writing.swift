import Base
import Database
import Domain

/// A report and the text of it that is stored, written before the transaction begins.
struct WrittenReport: Sendable {
    let report: ExecutionReport
    let text: String
    /// Of streams that were capped, of what is stored.
    let storedDigests: [OutputStream: String]

    init(_ report: ExecutionReport, storedDigests: [OutputStream: String] = [:]) throws {
        self.report = report
        self.storedDigests = storedDigests
        text = try JSONColumn.text(report)
    }
}

/// One step of an execution, as it is stored.
struct ExecutionStep: Sendable {
    let old: StoredExecution
    let new: StoredExecution
    let effects: [ExecutionMachine.Effect]
    /// Of an end.
    let report: WrittenReport?
    /// When the worker said that the process exists, where that was not recorded apart.
    let startedAt: Timestamp?
    let now: Timestamp

    init(
        _ old: StoredExecution,
        to machine: ExecutionMachine,
        _ effects: [ExecutionMachine.Effect],
        report: WrittenReport?,
        startedAt: Timestamp?,
        at now: Timestamp
    ) {
        (self.old, self.effects, self.report, self.startedAt, self.now) = (old, effects, report, startedAt, now)
        var record = old.record
        record.move(to: machine, report: report?.report, startedAt: startedAt, at: now)
        new = StoredExecution(
            record: record,
            titleSealed: old.titleSealed,
            instance: machine.claim.map(\.instance) ?? old.instance,
            machine: machine,
            mayHaveSecrets: old.mayHaveSecrets
        )
    }
}

extension ExecutionRecord {
    /// As the row is read again once it is written.
    fileprivate mutating func move(
        to machine: ExecutionMachine,
        report: ExecutionReport?,
        startedAt heardAt: Timestamp?,
        at now: Timestamp
    ) {
        if machine.state != state { stateEnteredAt = now }
        state = machine.state
        version += 1
        deadlineAt = machine.deadlineAt
        failures = machine.failures
        notBefore = machine.notBefore
        if case .ended(let end) = machine.status {
            exitCode = end.exitCode
            failure = end.failure.map { FailureReason($0.code, $0.message) }
            if report?.failure?.code == failure?.code { failure?.remedy = report?.failure?.remedy }
            cancelledBy = end.cancelledBy
            startedAt = startedAt ?? heardAt
            endedAt = end.endedAt
            self.report = report
            return
        }
        if let claim = machine.claim { (attempt, workerID) = (claim.attempt, claim.workerID) }
        assignedAt = machine.claim?.assignedAt
        if case .running(_, let at, _, _) = machine.status { startedAt = at } else { startedAt = nil }
        cancelRequestedAt = machine.cancelRequest?.at
        cancelledBy = machine.cancelRequest?.by
    }
}

/// What a step writes, made before its transaction where the row is known: the thread that writes has only to run it.
struct WrittenStep: Sendable {
    let step: ExecutionStep
    private let rows: [(statement: RowStatement, values: [SQLValue], error: MovedRow?)]
    private let events: [NewEvent]

    init(_ step: ExecutionStep, by actor: UserID?) throws {
        self.step = step
        let (old, new) = (step.old.record, step.new.record)
        let moved = MovedRow("execution \(old.id)")
        var rows: [(RowStatement, [SQLValue], MovedRow?)] = []
        if case .ended(let end) = step.new.machine.status {
            rows.append((ExecutionStore.end, ExecutionStore.endValues(step, end), moved))
        } else {
            rows.append((ExecutionStore.update, ExecutionStore.updateValues(old, new), moved))
        }
        if let (statement, values) = ExecutionStore.attemptWrite(step) { rows.append((statement, values, nil)) }
        if new.state.isTerminal, step.old.mayHaveSecrets, !step.new.machine.isDeadLetter {
            rows.append((ExecutionStore.clearSecrets, [new.id.sqlValue, new.organizationID.sqlValue], nil))
        }
        self.rows = rows
        events = try ExecutionFact.events(of: step, by: actor)
    }

    /// Fenced by what was read. Throws `MovedRow`, perhaps only at the transaction's end.
    func write(in transaction: FeedTransaction) throws {
        for row in rows { try transaction.post(row.statement, row.values, orThrow: row.error) }
        if step.new.machine.isDeadLetter {
            let until = step.now + step.new.machine.times.deadLetter
            try DeadLetterStore.add(step.new.record, at: step.now, until: until, in: transaction)
        }
        for event in events { transaction.record(event) }
    }
}

extension ExecutionStore {
    fileprivate static func updateValues(_ old: ExecutionRecord, _ new: ExecutionRecord) -> [SQLValue] {
        [
            old.id.sqlValue, old.organizationID.sqlValue, old.attempt.sqlValue, old.version.sqlValue,
            .text(new.state.rawValue), new.attempt.sqlValue, new.cancelRequestedAt.sqlValue, new.cancelledBy.sqlValue,
            new.assignedAt.sqlValue, new.startedAt.sqlValue, new.deadlineAt.sqlValue, new.stateEnteredAt.sqlValue,
            new.failures.sqlValue, new.notBefore.sqlValue,
        ]
    }

    fileprivate static func endValues(_ step: ExecutionStep, _ end: ExecutionEnd) -> [SQLValue] {
        let (old, new) = (step.old.record, step.new.record)
        let report = step.report?.report
        let usage = report?.verdict?.usage
        // An agent may claim any cost; one that no column holds is kept in the report alone.
        let cost = usage?.costUSD.flatMap { Int64(exactly: ($0 * 1_000_000).rounded()) }
        let duration = report?.durationMs ?? old.startedAt.map { (step.now - $0).wholeMilliseconds }
        return [
            old.id.sqlValue, old.organizationID.sqlValue, old.attempt.sqlValue, old.version.sqlValue,
            .text(new.state.rawValue), new.cancelledBy.sqlValue, new.startedAt.sqlValue, step.now.sqlValue,
            new.failures.sqlValue, end.exitCode.sqlValue, (end.failure?.code.rawValue).sqlValue,
            (end.failure?.message).sqlValue,
            (report?.agentSessionID ?? report?.verdict?.agentSessionID).sqlValue, (report?.model).sqlValue,
            (usage?.inputTokens).sqlValue, (usage?.outputTokens).sqlValue, cost.sqlValue, (usage?.turns).sqlValue,
            duration.sqlValue, (step.report?.text).sqlValue, end.endedAt.sqlValue,
        ]
    }

    /// What becomes of the attempt's row.
    fileprivate static func attemptWrite(_ step: ExecutionStep) -> (RowStatement, [SQLValue])? {
        let record = step.old.record
        let (before, claim) = (step.old.machine.claim, step.new.machine.claim)
        if let claim {
            if before?.attempt != claim.attempt { return (insertAttempt, values(of: claim, record)) }
            guard record.state == .assigned, let startedAt = step.new.record.startedAt else { return nil }
            return (startAttempt, [record.id.sqlValue, claim.attempt.sqlValue, startedAt.sqlValue])
        }
        guard let before else { return nil }
        var outcome = "requeued"
        var reason: FailureReason?
        var written: WrittenReport?
        if case .ended(let end) = step.new.machine.status {
            (outcome, reason) = (end.outcome.rawValue, end.failure)
            if end.attempt == before.attempt { written = step.report }
        }
        for case .recordAttempt(_, let failure) in step.effects { reason = failure }
        let values: [SQLValue] = [
            record.id.sqlValue, before.attempt.sqlValue, step.now.sqlValue, .text(outcome),
            step.new.machine.state.isTerminal.sqlValue, (reason?.code.rawValue).sqlValue, (reason?.message).sqlValue,
            step.startedAt.sqlValue,
        ]
        let marks = Self.values(of: written?.report.stdout) + Self.values(of: written?.report.stderr)
        let digests = OutputStream.allCases.map { (written?.storedDigests[$0]).sqlValue }
        return (endAttempt, values + marks + digests)
    }

    private static func values(of mark: OutputMark?) -> [SQLValue] {
        guard let mark else { return [.null, .null, .null, .null] }
        return [.integer(mark.totalBytes), .integer(mark.headBytes), .integer(mark.tailBytes), .text(mark.sha256)]
    }

    /// nil while the stream has not ended.
    static func mark(of stream: OutputStream, _ row: Row) throws -> OutputMark? {
        let name = stream.rawValue
        guard let total = try row.optionalInteger("\(name)_total") else { return nil }
        return OutputMark(
            totalBytes: total,
            headBytes: try row.integer("\(name)_head"),
            tailBytes: try row.integer("\(name)_tail"),
            sha256: try row.text("\(name)_digest")
        )
    }

    /// Of what is stored of a stream that was capped; nil where none was made.
    static func storedDigest(of stream: OutputStream, _ row: Row) throws -> String? {
        try row.optionalText("\(stream.rawValue)_stored_digest")
    }

    static func values(of claim: AttemptClaim, _ record: ExecutionRecord) -> [SQLValue] {
        [
            record.id.sqlValue, claim.attempt.sqlValue, record.organizationID.sqlValue, record.ownerID.sqlValue,
            claim.workerID.sqlValue, record.environmentID.sqlValue, claim.instance.sqlValue, claim.assignedAt.sqlValue,
        ]
    }
}
