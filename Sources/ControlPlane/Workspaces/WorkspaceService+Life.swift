public import Base
import Database
public import Domain
import FoundationEssentials

// States, and who changes them.
extension WorkspaceService {
    /// How often a failed set-up may be tried again before a person has to insist.
    public static let retryLimit = 3

    /// What one change writes, beside the machine's state.
    private struct Change {
        var machine: WorkspaceMachine
        var initialisation: WorkspaceRecord.Initialisation
        var outcome: WorkspaceOutcome?
    }

    /// Archived by its row alone: what was to be kept of the working tree is kept already.
    public func archive(_ id: WorkspaceID, organization: OrganizationID, by user: UserID, visibleTo: UserID?)
        async throws -> WorkspaceRecord
    {
        _ = try await get(id, organization: organization, visibleTo: visibleTo)
        return try await change(id, organization, actor: user) { _, change in try change.machine.archive() }
    }

    /// Its checkout is to be made again, and what the set-up script put beside it; hand the request to an execution. A
    /// working tree in place was never removed.
    /// - Parameter runsSetup: also there.
    public func unarchive(_ workspace: WorkspaceRecord, runsSetup: Bool = false, by user: UserID) async throws
        -> (workspace: WorkspaceRecord, request: WorkspaceRequest)
    {
        let record = try await change(workspace.id, workspace.organizationID, actor: user) { _, change in
            try change.machine.unarchive()
            change.initialisation = WorkspaceRecord.Initialisation()
        }
        var request = try await setupRequest(record)
        if request.isInPlace, !runsSetup { request.setup?.skipsScript = true }
        return (record, request)
    }

    /// A failed set-up once more.
    /// - Parameter force: however often it has been tried.
    public func retry(_ workspace: WorkspaceRecord, force: Bool, by user: UserID) async throws
        -> (workspace: WorkspaceRecord, request: WorkspaceRequest)
    {
        let record = try await change(workspace.id, workspace.organizationID, actor: user) { record, change in
            guard case .failed = change.machine.status else {
                throw BerthError(
                    .illegalTransition,
                    "the workspace is \(record.state.rawValue), not FAILED",
                    remedy: "only a failed set-up is tried again"
                )
            }
            guard force || record.initialisation.retries < Self.retryLimit else {
                throw BerthError(
                    .quotaExceeded,
                    "its set-up has been tried again \(record.initialisation.retries) times",
                    remedy: "correct the cause first (berth ws log \(record.name)), then insist with --force"
                )
            }
            change.machine = WorkspaceMachine(.new)
            change.initialisation = WorkspaceRecord.Initialisation(
                retries: force ? 1 : record.initialisation.retries + 1
            )
        }
        return (record, try await setupRequest(record))
    }

    private func setupRequest(_ record: WorkspaceRecord) async throws -> WorkspaceRequest {
        var request = try await request(record, push: false, commitLeftovers: false)
        request.setup = record.setup ?? WorkspaceSetup()
        return request
    }

    /// Which execution sets it up.
    public func setupBegan(_ id: WorkspaceID, organization: OrganizationID, execution: ExecutionID) async throws
        -> WorkspaceRecord
    {
        try await change(id, organization) { _, change in
            if change.initialisation.executionID == nil { change.initialisation.executionID = execution }
        }
    }

    /// What sets it up could not be begun, or is gone without a word.
    public func setupFailed(_ id: WorkspaceID, organization: OrganizationID, _ reason: FailureReason) async throws {
        try await change(id, organization) { _, change in
            switch change.machine.status {
            case .new, .provisioning: try change.machine.fail(reason)
            case .ready, .failed, .archived: break
            }
        }
    }

    /// What an execution in a workspace means for it. Called after each of its changes; repeated calls change nothing.
    public func executionChanged(
        _ execution: ExecutionID,
        workspace: WorkspaceID,
        organization: OrganizationID,
        isSetup: Bool,
        state: ExecutionState,
        outcome: WorkspaceOutcome?,
        failure: FailureReason?
    ) async {
        let now = time.now
        do {
            try await change(workspace, organization, outcome: outcome) { _, change in
                guard change.machine.status != .archived else { return }
                if isSetup {
                    try Self.followSetup(execution, state, failure, at: now, &change)
                } else {
                    try Self.follow(execution, state, outcome, failure, &change.machine)
                }
            }
        } catch {
            log.warning(
                "workspace not updated",
                ["workspace_id": workspace, "execution_id": execution, "error": "\(error)"]
            )
        }
    }

    /// The run that it was made for owns it until it is checked out; later ones find it as it is.
    private static func follow(
        _ execution: ExecutionID,
        _ state: ExecutionState,
        _ outcome: WorkspaceOutcome?,
        _ failure: FailureReason?,
        _ machine: inout WorkspaceMachine
    ) throws {
        switch (state, machine.status) {
        case (.queued, _), (_, .archived): break
        case (.assigned, .new), (.assigned, .failed): try machine.provision()
        case (.running, .provisioning): try machine.ready()
        case (_, .provisioning) where outcome != nil: try machine.ready()
        case (_, .new) where state.isTerminal, (_, .provisioning) where state.isTerminal:
            try machine.fail(failure ?? FailureReason(.cancelled, "its execution is \(state)"))
        default: break
        }
    }

    private static func followSetup(
        _ execution: ExecutionID,
        _ state: ExecutionState,
        _ failure: FailureReason?,
        at now: Timestamp,
        _ change: inout Change
    ) throws {
        let known = change.initialisation.executionID
        // Of an earlier try, whose end was told late.
        guard known == nil || known == execution else { return }
        change.initialisation.executionID = execution
        switch (state, change.machine.status) {
        case (.assigned, .new), (.running, .new):
            try change.machine.provision()
            if change.initialisation.startedAt == nil { change.initialisation.startedAt = now }
        case (.completed, .new), (.completed, .provisioning):
            if change.machine.status == .new { try change.machine.provision() }
            try change.machine.ready()
            change.initialisation.completedAt = now
        case (_, .new) where state.isTerminal, (_, .provisioning) where state.isTerminal:
            try change.machine.fail(failure ?? FailureReason(.cancelled, "its set-up is \(state)"))
            change.initialisation.completedAt = now
        default: break
        }
    }

    @discardableResult
    private func change(
        _ id: WorkspaceID,
        _ organization: OrganizationID,
        actor: UserID? = nil,
        outcome: WorkspaceOutcome? = nil,
        _ event: @escaping @Sendable (WorkspaceRecord, inout Change) throws -> Void
    ) async throws -> WorkspaceRecord {
        let now = time.now
        return try await withMovingRows {
            try await feed.transaction(organization: organization) { transaction in
                guard let row = try transaction.first(WorkspaceStore.byID, id, organization) else {
                    throw Self.unknown(id)
                }
                if actor != nil { try Self.checkOwned(id, organization, in: transaction) }
                let record = try WorkspaceStore.record(row)
                let before = WorkspaceStore.machine(record)
                var change = Change(machine: before, initialisation: record.initialisation, outcome: outcome)
                try event(record, &change)
                guard
                    change.machine != before || change.initialisation != record.initialisation
                        || (outcome != nil && outcome != record.outcome)
                else { return record }
                try write(change, over: record, at: now, in: transaction)
                guard let row = try transaction.first(WorkspaceStore.byID, id, organization) else {
                    throw MovedRow("workspace \(id)")
                }
                let after = try WorkspaceStore.record(row)
                let type = "workspace.\(after.state.rawValue.lowercased())"
                transaction.record(
                    try Self.fact(after.state == record.state ? "workspace.changed" : type, after, by: actor, at: now)
                )
                return after
            }
            .value
        }
    }

    private func write(
        _ change: Change,
        over record: WorkspaceRecord,
        at now: Timestamp,
        in transaction: FeedTransaction
    )
        throws
    {
        let state = change.machine.state
        var failure: FailureReason?
        if case .failed(let reason) = change.machine.status { failure = reason }
        let isMoving = state == .new || state == .provisioning
        let changed: Int
        do {
            changed = try transaction.run(
                WorkspaceStore.update,
                record.id,
                record.organizationID,
                record.version,
                state.rawValue,
                failure?.message,
                state == record.state ? record.stateEnteredAt : now,
                change.outcome?.baseCommit,
                change.outcome?.headCommit,
                change.outcome?.branch,
                try change.outcome.map { try JSONColumn.text($0) },
                now,
                state == .archived ? now : nil,
                failure?.code.rawValue,
                failure?.remedy,
                change.initialisation.executionID,
                change.initialisation.startedAt,
                change.initialisation.completedAt,
                change.initialisation.retries,
                isMoving ? now + Self.takeUpTime : nil,
                state == .ready && record.isCloudSyncEnabled ? record.sync.dueAt ?? now : nil
            )
        } catch let error as BerthError where error.code == .conflict && state == .new {
            // Brought back, its name is another's by now.
            throw Self.nameTaken(record.name)
        }
        guard changed == 1 else { throw MovedRow("workspace \(record.id)") }
    }

    static func fact(_ type: String, _ record: WorkspaceRecord, by actor: UserID?, at: Timestamp) throws
        -> NewEvent
    {
        struct Fact: Encodable {
            var state: WorkspaceState
            var branch: String
            var environmentId: EnvironmentID
            var version: Int64
            var message: String?
            var headCommit: String?
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let fact = Fact(
            state: record.state,
            branch: record.branch,
            environmentId: record.environmentID,
            version: record.version,
            message: record.message,
            headCommit: record.outcome?.headCommit
        )
        let payload = String(decoding: try encoder.encode(fact), as: UTF8.self)
        return NewEvent(type, subject: record.id, ownerID: record.ownerID, actorID: actor, payload: payload, at: at)
    }
}
