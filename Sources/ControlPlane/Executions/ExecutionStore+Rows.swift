import Base
import Database
import Domain

extension ExecutionStore {
    private static let specs = JSONMemo<ExecutionSpec>()

    static func stored(_ row: Row, times: ExecutionTimes) throws -> StoredExecution {
        let spec = try specs.value(of: try row.text("spec"))
        var record = ExecutionRecord(
            id: try row.id("id"),
            organizationID: try row.id("organization_id"),
            ownerID: try row.id("owner_id"),
            environmentID: try row.optionalID("environment_id"),
            workspaceID: try row.optionalID("workspace_id"),
            personaID: try row.optionalText("persona_id"),
            spec: spec,
            state: try row.value("state"),
            title: "",
            attempt: try row.int("attempt"),
            workerID: try row.optionalID("worker_id"),
            exitCode: try row.optionalInteger("exit_code").map(Int32.init(truncatingIfNeeded:)),
            failure: nil,
            cancelRequestedAt: try row.optionalTimestamp("cancel_requested_at"),
            cancelledBy: try row.optionalText("cancelled_by"),
            report: nil,
            createdAt: try row.timestamp("created_at"),
            assignedAt: try row.optionalTimestamp("assigned_at"),
            startedAt: try row.optionalTimestamp("started_at"),
            endedAt: try row.optionalTimestamp("ended_at"),
            stateEnteredAt: try row.timestamp("state_entered_at"),
            deadlineAt: try row.optionalTimestamp("deadline_at"),
            failures: try row.int("failures"),
            notBefore: try row.optionalTimestamp("not_before"),
            retryOf: try row.optionalID("retry_of"),
            version: try row.integer("version")
        )
        if let code = try row.optionalText("failure_code") {
            record.failure = FailureReason(ErrorCode(rawValue: code), try row.optionalText("failure_message") ?? "")
        }
        if let result = try row.optionalText("result") {
            let report = try JSONText.decode(ExecutionReport.self, from: result)
            record.report = report
            if report.failure?.code == record.failure?.code { record.failure?.remedy = report.failure?.remedy }
        }
        let instance = try row.optionalInteger("instance")
        return StoredExecution(
            record: record,
            titleSealed: try row.optionalBlob("title_sealed"),
            instance: instance,
            machine: ExecutionMachine(
                status: try status(record, instance: instance, times: times),
                failures: record.failures,
                times: times,
                retry: spec.retry,
                timeoutMs: spec.caps.timeoutMs
            )
        )
    }

    private static func status(_ record: ExecutionRecord, instance: Int64?, times: ExecutionTimes) throws
        -> ExecutionMachine.Status
    {
        switch record.state {
        case .queued:
            return .queued(
                since: record.stateEnteredAt,
                attempts: record.attempt,
                notBefore: record.notBefore,
                deadlineAt: record.deadlineAt ?? record.stateEnteredAt + times.queued
            )
        case .assigned, .running:
            guard let workerID = record.workerID, let assignedAt = record.assignedAt else {
                throw BerthError(.internal, "execution \(record.id) is \(record.state) without a worker")
            }
            let claim = AttemptClaim(
                attempt: record.attempt,
                workerID: workerID,
                instance: instance,
                assignedAt: assignedAt
            )
            let cancel = record.cancelRequestedAt.map { CancelRequest(by: record.cancelledBy ?? "", at: $0) }
            guard record.state == .running, let startedAt = record.startedAt else {
                let deadline = record.deadlineAt ?? assignedAt + times.preparation
                return .assigned(claim, cancel: cancel, deadlineAt: deadline)
            }
            return .running(claim, startedAt: startedAt, cancel: cancel, deadlineAt: record.deadlineAt)
        case .completed, .failed, .cancelled, .timedOut:
            return .ended(
                ExecutionEnd(
                    outcome: ExecutionReport.Outcome(rawValue: record.state.rawValue) ?? .failed,
                    attempt: record.workerID == nil ? nil : record.attempt,
                    exitCode: record.exitCode,
                    failure: record.failure,
                    cancelledBy: record.cancelledBy,
                    endedAt: record.endedAt ?? record.stateEnteredAt
                )
            )
        }
    }

    /// Writes what changed between `old` and `machine`, fenced by what was read. Throws `MovedRow`.
    static func write(
        _ machine: ExecutionMachine,
        over old: StoredExecution,
        _ effects: [ExecutionMachine.Effect],
        report: ExecutionReport?,
        startedAt heardAt: Timestamp?,
        at now: Timestamp,
        in connection: any SQLConnection
    ) throws {
        let record = old.record
        let claim = machine.claim
        var attempt = record.attempt
        var startedAt: Timestamp?
        if let claim { attempt = claim.attempt }
        if case .running(_, let at, _, _) = machine.status { startedAt = at }
        var cancelledBy = machine.cancelRequest?.by
        var cancelledAt = machine.cancelRequest?.at
        var assignedAt = claim?.assignedAt
        if case .ended(let end) = machine.status {
            cancelledBy = end.cancelledBy
            cancelledAt = record.cancelRequestedAt
            assignedAt = record.assignedAt
            startedAt = record.startedAt ?? heardAt
        }
        let changed = try connection.run(
            update,
            record.id,
            record.organizationID,
            record.attempt,
            record.version,
            machine.state.rawValue,
            attempt,
            cancelledAt,
            cancelledBy,
            assignedAt,
            startedAt,
            machine.deadlineAt,
            machine.state == record.state ? record.stateEnteredAt : now,
            machine.failures,
            machine.notBefore
        )
        guard changed == 1 else { throw MovedRow("execution \(record.id)") }
        if let heardAt, record.startedAt == nil { try connection.post(startAttempt, record.id, attempt, heardAt) }
        try writeAttempts(machine, over: old, effects, at: now, in: connection)
        if case .ended(let end) = machine.status {
            try writeEnd(end, of: record, report: report, at: now, in: connection)
            if machine.isDeadLetter {
                try DeadLetterStore.add(record, at: now, until: now + machine.times.deadLetter, in: connection)
            } else {
                try connection.post(clearSecrets, record.id, record.organizationID)
            }
        }
    }

    private static func writeAttempts(
        _ machine: ExecutionMachine,
        over old: StoredExecution,
        _ effects: [ExecutionMachine.Effect],
        at now: Timestamp,
        in connection: any SQLConnection
    ) throws {
        let record = old.record
        let before = old.machine.claim
        if let claim = machine.claim, before?.attempt != claim.attempt {
            try insert(claim, of: record, in: connection)
        }
        if case .running(let claim, let startedAt, _, _) = machine.status, record.state == .assigned {
            try connection.post(startAttempt, record.id, claim.attempt, startedAt)
        }
        guard let before, machine.claim == nil else { return }
        var outcome = "requeued"
        var reason: FailureReason?
        if case .ended(let end) = machine.status { (outcome, reason) = (end.outcome.rawValue, end.failure) }
        for case .recordAttempt(_, let failure) in effects { reason = failure }
        try connection.post(
            endAttempt,
            record.id,
            before.attempt,
            now,
            outcome,
            machine.state.isTerminal,
            reason?.code.rawValue,
            reason?.message
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

    private static func writeEnd(
        _ end: ExecutionEnd,
        of record: ExecutionRecord,
        report: ExecutionReport?,
        at now: Timestamp,
        in connection: any SQLConnection
    ) throws {
        let usage = report?.verdict?.usage
        let result = try report.map { try JSONColumn.text($0) }
        let duration = report?.durationMs ?? record.startedAt.map { (now - $0).wholeMilliseconds }
        try connection.post(
            recordEnd,
            record.id,
            record.organizationID,
            end.exitCode,
            end.failure?.code.rawValue,
            end.failure?.message,
            report?.agentSessionID ?? report?.verdict?.agentSessionID,
            report?.model,
            usage?.inputTokens,
            usage?.outputTokens,
            // An agent may claim any cost; one that no column holds is kept in the report alone.
            usage?.costUSD.flatMap { Int64(exactly: ($0 * 1_000_000).rounded()) },
            usage?.turns,
            duration,
            result,
            end.endedAt
        )
        guard let attempt = end.attempt, let report else { return }
        for (stream, mark) in [(OutputStream.stdout, report.stdout), (.stderr, report.stderr)] {
            guard let mark else { continue }
            try connection.post(
                insertStream,
                record.id,
                attempt,
                stream.rawValue,
                record.organizationID,
                record.ownerID,
                mark.headBytes,
                mark.totalBytes,
                mark.headBytes,
                mark.tailBytes,
                mark.sha256,
                now
            )
        }
    }
}
