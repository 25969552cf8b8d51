import Base
import Database
import Domain

/// The payload of an execution's events. No secrets, nothing of the prompt.
struct ExecutionFact: Encodable {
    var state: ExecutionState
    var attempt: Int
    var version: Int64
    var workerId: WorkerID?
    var environmentId: EnvironmentID?
    var workspaceId: WorkspaceID?
    var exitCode: Int32?
    var failure: FailureReason?
    var cancelledBy: String?
    var isCancelling: Bool?
    var failures: Int?
    var notBefore: Timestamp?
    var retryOf: ExecutionID?

    init(_ record: ExecutionRecord) {
        state = record.state
        attempt = record.attempt
        version = record.version
        workerId = record.workerID
        environmentId = record.environmentID
        workspaceId = record.workspaceID
        exitCode = record.exitCode
        failure = record.failure
        cancelledBy = record.cancelledBy
        failures = record.failures > 0 ? record.failures : nil
        notBefore = record.notBefore
        retryOf = record.retryOf
        isCancelling = !record.state.isTerminal && record.cancelRequestedAt != nil ? true : nil
    }

    static func events(of step: ExecutionStep, by actor: UserID?) throws -> [NewEvent] {
        let isCancel = step.old.machine.cancelRequest == nil && step.new.machine.cancelRequest != nil
        var record = step.new.record
        let type = isCancel ? "execution.cancelRequested" : "execution.\(record.state.rawValue)"
        // Of a queued one: why it is there again.
        for case .recordAttempt(_, let reason) in step.effects { record.failure = reason }
        let change = try event(type, record, by: actor, at: step.now)
        guard step.new.machine.isDeadLetter else { return [change] }
        return [change, try event("execution.deadLettered", step.new.record, by: nil, at: step.now)]
    }

    static func event(_ type: String, _ record: ExecutionRecord, by actor: UserID?, at: Timestamp) throws -> NewEvent {
        NewEvent(
            type,
            subject: record.id,
            ownerID: record.ownerID,
            actorID: actor,
            payload: try text(ExecutionFact(record)),
            at: at
        )
    }

    static func text(_ value: some Encodable) throws -> String { try JSONColumn.text(value) }
}
