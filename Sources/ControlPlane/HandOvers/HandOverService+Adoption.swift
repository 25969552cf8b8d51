public import Base
import Database
public import Domain

// What a workspace is besides its checkout, and what of that does not come along.
extension HandOverService {
    /// Names that one workspace may lack.
    private static let nameLimit = 1000

    /// What the other side says of the workspace; before it is owned.
    public func adopt(_ id: HandOverID, _ new: NewHandedWorkspace) async throws {
        let now = time.now
        guard let record = try await find(id) else { throw Self.unknown("hand-over \(id)") }
        _ = try await withMovingRows {
            try await feed.transaction(organization: record.organizationID) { transaction in
                guard
                    let row = try transaction.first(
                        HandOverStore.workspaceByID,
                        record.workspaceID,
                        record.organizationID
                    )
                    .map(HandOverStore.workspace), row.custody == .arriving
                else { return }
                try Self.write(new, over: row, at: now, in: transaction)
                try Self.noteMissing(new.variableNames, of: row.id, in: transaction)
                transaction.record(try Self.fact(record, at: now, type: "handover.changed"))
            }
        }
    }

    private static func write(
        _ new: NewHandedWorkspace,
        over row: HandedRow,
        at now: Timestamp,
        in transaction: FeedTransaction
    ) throws {
        let details = new.details
        let changed = try transaction.run(
            HandOverStore.adopt,
            row.id,
            row.version,
            new.name,
            new.branch,
            new.baseReference,
            new.issueURL,
            new.pullRequestURL,
            new.pullRequestNumber,
            new.ratchetEnabled,
            new.ratchetState,
            now,
            details.description,
            details.creationSource.rawValue,
            details.isGeneratedBranch,
            details.issueNumber,
            details.issueTitle,
            details.pullRequestState.rawValue,
            details.pullRequestCIStatus,
            details.pullRequestReviewState,
            details.pullRequestUpdatedAt,
            details.reviewLastCheckedAt,
            details.ratchetLastCIRunID,
            details.ratchetLastCheckedAt,
            details.ratchetLastPushAt,
            details.ratchetActiveSessionID,
            details.hasHadSessions,
            details.autoStopMinutes,
            details.isCloudSyncEnabled,
            details.isCloudSyncEnabled ? now : nil
        )
        guard changed == 1 else { throw MovedRow("workspace \(row.id)") }
    }

    private static func noteMissing(_ names: [String], of workspace: WorkspaceID, in transaction: FeedTransaction)
        throws
    {
        let own = Set(try transaction.rows(HandOverStore.variableNames, workspace).map { try $0.text("name") })
        try transaction.run(HandOverStore.missingClear, workspace)
        let missing = Set(names.filter { VariableName.isValid($0) && !own.contains($0) }).sorted()
        for name in missing.prefix(nameLimit) { try transaction.run(HandOverStore.missingInsert, workspace, name) }
    }

    /// Names of a workspace's variables, of those that have no value here as well.
    public func variableNames(of workspace: WorkspaceID) async throws -> [String] {
        try await database.read { connection in
            let names =
                try connection.rows(HandOverStore.variableNames, workspace)
                + connection.rows(HandOverStore.missingNames, workspace)
            return try names.map { try $0.text("name") }
        }
    }

    /// What the workspace has where it comes from and not here.
    public func lacks(of record: HandOverRecord, _ details: HandedDetails) async throws -> HandedLacks {
        try await database.read { connection in
            let row = try connection.first(HandOverStore.anyWorkspace, record.workspaceID, record.organizationID)
                .map(HandOverStore.workspace)
            return HandedLacks(
                missingVariables: try connection.rows(HandOverStore.missingNames, record.workspaceID).map {
                    try $0.text("name")
                },
                missingLogin: details.hasCredentials && row?.details.hasCredentials != true,
                runsLeft: details.runs
            )
        }
    }
}
