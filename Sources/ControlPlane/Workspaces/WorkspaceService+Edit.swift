public import Base
import Database
import Domain

/// What a person may change of a workspace; nil leaves it.
public struct WorkspaceEdit: Sendable, Equatable {
    public var name: String?
    public var description: String?
    public var isCloudSyncEnabled: Bool?
    /// Minutes; 0 takes it away.
    public var autoStopMinutes: Int?
    public var pullRequestURL: String?
    public var isRatchetEnabled: Bool?

    public init() {}
}

extension WorkspaceService {
    public func edit(_ id: WorkspaceID, organization: OrganizationID, _ edit: WorkspaceEdit, by user: UserID)
        async throws -> WorkspaceRecord
    {
        if let name = edit.name { try Self.validate(name: name) }
        if let minutes = edit.autoStopMinutes, minutes != 0, !IdlePolicy.allowedMinutes.contains(minutes) {
            throw BerthError(
                .invalidValue,
                "\(minutes) minutes are not allowed",
                field: "autoStopMinutes",
                remedy: "5 to 480, or 0 for none of its own"
            )
        }
        let number = try edit.pullRequestURL.map { text throws(BerthError) in try PullRequestURL(text).number }
        let now = time.now
        return try await withMovingRows {
            try await feed.transaction(organization: organization) { transaction in
                guard let row = try transaction.first(WorkspaceStore.byID, id, organization) else {
                    throw Self.unknown(id)
                }
                try Self.checkOwned(id, organization, in: transaction)
                let record = try WorkspaceStore.record(row)
                if let name = edit.name, name != record.name,
                    try transaction.first(WorkspaceStore.nameIsTaken, organization, record.ownerID, name) != nil
                {
                    throw Self.nameTaken(name)
                }
                let syncs = edit.isCloudSyncEnabled ?? record.isCloudSyncEnabled
                let minutes = edit.autoStopMinutes.map { $0 == 0 ? nil : $0 } ?? record.autoStopMinutes
                let changed = try transaction.run(
                    WorkspaceStore.edit,
                    id,
                    organization,
                    record.version,
                    edit.name ?? record.name,
                    edit.description ?? record.description,
                    syncs ? 1 : 0,
                    syncs && record.state == .ready ? record.sync.dueAt ?? now : nil,
                    minutes,
                    edit.pullRequestURL ?? record.pullRequest.url,
                    number ?? record.pullRequest.number,
                    (edit.isRatchetEnabled ?? record.ratchet.isEnabled) ? 1 : 0
                )
                guard changed == 1, let row = try transaction.first(WorkspaceStore.byID, id, organization) else {
                    throw MovedRow("workspace \(id)")
                }
                let after = try WorkspaceStore.record(row)
                transaction.record(try Self.fact("workspace.changed", after, by: user, at: now))
                return after
            }
            .value
        }
    }

    /// Forgets an archived workspace: nothing of it is shown any more, and its variables are gone. What its environment
    /// keeps of it goes when that can be reached.
    public func remove(_ id: WorkspaceID, organization: OrganizationID, by user: UserID) async throws {
        let now = time.now
        _ = try await withMovingRows {
            try await feed.transaction(organization: organization) { transaction in
                guard let row = try transaction.first(WorkspaceStore.byID, id, organization) else {
                    throw Self.unknown(id)
                }
                let record = try WorkspaceStore.record(row)
                guard record.state == .archived else {
                    throw BerthError.illegal("workspace", from: record.state.rawValue, to: "REMOVED")
                }
                guard try transaction.run(WorkspaceStore.remove, id, organization, record.version, now) == 1 else {
                    throw MovedRow("workspace \(id)")
                }
                try transaction.run(WorkspaceVariableStore.deleteAll, id)
                try transaction.run(WorkspaceVariableStore.forgetMissing, id)
                transaction.record(try Self.fact("workspace.removed", record, by: user, at: now))
            }
        }
    }
}
