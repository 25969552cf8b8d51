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
        isCancelling = !record.state.isTerminal && record.cancelRequestedAt != nil ? true : nil
    }

    static func event(_ stored: StoredExecution, cancelWas: CancelRequest?, by actor: UserID?, at: Timestamp) throws
        -> NewEvent
    {
        let isCancel = cancelWas == nil && stored.machine.cancelRequest != nil
        let type = isCancel ? "execution.cancelRequested" : "execution.\(stored.record.state.rawValue)"
        return try event(type, stored.record, by: actor, at: at)
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
