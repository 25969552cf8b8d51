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
}
