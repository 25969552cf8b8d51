import Base
import Database
import Domain

/// A report and the text of it that is stored, written before the transaction begins.
struct WrittenReport: Sendable {
    let report: ExecutionReport
    let text: String

    init(_ report: ExecutionReport) throws {
        self.report = report
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

extension ExecutionStore {
    /// Writes what changed, fenced by what was read. Throws `MovedRow`, perhaps only at the transaction's end.
    static func write(_ step: ExecutionStep, in connection: any SQLConnection) throws {
        let (old, new) = (step.old.record, step.new.record)
        let moved = MovedRow("execution \(old.id)")
        if case .ended(let end) = step.new.machine.status {
            try connection.post(self.end, endValues(step, end), orThrow: moved)
        } else {
            try connection.post(update, updateValues(old, new), orThrow: moved)
        }
        try writeAttempt(step, in: connection)
        guard case .ended(let end) = step.new.machine.status else { return }
        if let attempt = end.attempt, let report = step.report?.report {
            try writeStreams(of: report, new, attempt, at: step.now, in: connection)
        }
        if step.new.machine.isDeadLetter {
            let until = step.now + step.new.machine.times.deadLetter
            try DeadLetterStore.add(new, at: step.now, until: until, in: connection)
        } else if step.old.mayHaveSecrets {
            try connection.post(clearSecrets, new.id, new.organizationID)
        }
    }

    private static func updateValues(_ old: ExecutionRecord, _ new: ExecutionRecord) -> [SQLValue] {
        [
            old.id.sqlValue, old.organizationID.sqlValue, old.attempt.sqlValue, old.version.sqlValue,
            .text(new.state.rawValue), new.attempt.sqlValue, new.cancelRequestedAt.sqlValue, new.cancelledBy.sqlValue,
            new.assignedAt.sqlValue, new.startedAt.sqlValue, new.deadlineAt.sqlValue, new.stateEnteredAt.sqlValue,
            new.failures.sqlValue, new.notBefore.sqlValue,
        ]
    }

    private static func endValues(_ step: ExecutionStep, _ end: ExecutionEnd) -> [SQLValue] {
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

    private static func writeAttempt(_ step: ExecutionStep, in connection: any SQLConnection) throws {
        let record = step.old.record
        let (before, claim) = (step.old.machine.claim, step.new.machine.claim)
        if let claim {
            if before?.attempt != claim.attempt { return try insert(claim, of: record, in: connection) }
            guard record.state == .assigned, let startedAt = step.new.record.startedAt else { return }
            return try connection.post(startAttempt, record.id, claim.attempt, startedAt)
        }
        guard let before else { return }
        var outcome = "requeued"
        var reason: FailureReason?
        if case .ended(let end) = step.new.machine.status { (outcome, reason) = (end.outcome.rawValue, end.failure) }
        for case .recordAttempt(_, let failure) in step.effects { reason = failure }
        try connection.post(
            endAttempt,
            record.id,
            before.attempt,
            step.now,
            outcome,
            step.new.machine.state.isTerminal,
            reason?.code.rawValue,
            reason?.message,
            step.startedAt
        )
    }

    static func insert(_ claim: AttemptClaim, of record: ExecutionRecord, in connection: any SQLConnection) throws {
        try connection.post(
            insertAttempt,
            record.id,
            claim.attempt,
            record.organizationID,
            record.ownerID,
            claim.workerID,
            record.environmentID,
            claim.instance,
            claim.assignedAt
        )
    }

    private static func writeStreams(
        of report: ExecutionReport,
        _ record: ExecutionRecord,
        _ attempt: Int,
        at now: Timestamp,
        in connection: any SQLConnection
    ) throws {
        let marks = [(OutputStream.stdout, report.stdout), (.stderr, report.stderr)]
            .compactMap { stream, mark in mark.map { (stream, $0) } }
        guard !marks.isEmpty else { return }
        var values: [SQLValue] = [
            record.id.sqlValue, attempt.sqlValue, record.organizationID.sqlValue, record.ownerID.sqlValue, now.sqlValue,
        ]
        for (stream, mark) in marks {
            values += [
                .text(stream.rawValue), .integer(mark.headBytes), .integer(mark.totalBytes), .integer(mark.tailBytes),
                .text(mark.sha256),
            ]
        }
        try connection.post(marks.count == 2 ? insertStreams : insertStream, values)
    }
}
