public import Base
public import Database
public import Domain
import FoundationEssentials

/// Repositories and the checkouts made of them. The checkout itself is done by the environment's worker.
public struct WorkspaceService: Sendable {
    let database: any SQLDatabase
    let feed: Feed
    let time: any TimeSource
    let ids: IDSource
    let log: Log

    public init(database: any SQLDatabase, feed: Feed, time: any TimeSource, ids: IDSource, log: Log) {
        self.database = database
        self.feed = feed
        self.time = time
        self.ids = ids
        self.log = log
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] { WorkspaceStore.statements }

    static func unknown(_ id: WorkspaceID) -> BerthError {
        BerthError(.notFound, "there is no workspace \(id)", remedy: "list them with 'berth ws ls'")
    }
}

// Repositories.
extension WorkspaceService {
    /// The organization's record of this URL, made where there is none. The same URL, however written, is one repository.
    public func repository(
        _ url: String,
        organization: OrganizationID,
        by user: UserID,
        defaultBranch: String? = nil
    ) async throws -> RepositoryRecord {
        let url = try RepositoryURL(url, field: "repository.url")
        if let defaultBranch { _ = try BranchName(defaultBranch, field: "defaultBranch") }
        let id: RepositoryID = ids.make()
        let now = time.now
        return try await feed.transaction(organization: organization) { transaction in
            if let known = try transaction.first(WorkspaceStore.repositoryByURL, organization, url.text) {
                return try WorkspaceStore.repository(known)
            }
            try transaction.run(
                WorkspaceStore.repositoryInsert,
                id,
                organization,
                user,
                url.text,
                defaultBranch,
                now
            )
            transaction.record(
                NewEvent(
                    "repository.added",
                    subject: id,
                    ownerID: nil,
                    actorID: user,
                    payload: #"{"url":\#(JSONText.quoted(url.text))}"#,
                    at: now
                )
            )
            return RepositoryRecord(
                id: id,
                organizationID: organization,
                ownerID: user,
                url: url.text,
                name: url.name,
                defaultBranch: defaultBranch,
                createdAt: now
            )
        }
        .value
    }

    public func repository(_ id: RepositoryID, organization: OrganizationID) async throws -> RepositoryRecord {
        let row = try await database.read { try $0.first(WorkspaceStore.repositoryByID, id, organization) }
        guard let row else { throw BerthError(.notFound, "there is no repository \(id)") }
        return try WorkspaceStore.repository(row)
    }

    /// By id. `after` is the last one of the page before.
    public func repositories(_ organization: OrganizationID, after: RepositoryID? = nil, limit: Int = 100)
        async throws -> [RepositoryRecord]
    {
        try await database.read { connection in
            try connection.rows(WorkspaceStore.repositoryList, organization, after?.text ?? "", limit)
                .map(WorkspaceStore.repository)
        }
    }
}

// Workspaces.
extension WorkspaceService {
    /// Records a workspace and says what its worker is to check out; hand `request` to the execution.
    public func create(_ new: NewWorkspace) async throws -> (workspace: WorkspaceRecord, request: WorkspaceRequest) {
        let id: WorkspaceID = ids.make()
        let branch =
            try new.branch.map { name throws(BerthError) in try BranchName(name, field: "repository.branch") }
            ?? BranchName(task: new.task, workspace: id)
        if let base = new.baseReference { try Self.validate(reference: base) }
        let repository = try await repository(
            new.repositoryURL,
            organization: new.organizationID,
            by: new.ownerID
        )
        let slug = BranchName.slug(repository.name, limit: 30)
        let directory = "\(slug.isEmpty ? "repository" : slug)-\(id.text.suffix(6))"
        let words = BranchName.slug(new.task, limit: 60)
        let name = words.isEmpty ? directory : words
        let now = time.now
        let workspace = try await feed.transaction(organization: new.organizationID) { transaction in
            try transaction.run(
                WorkspaceStore.insert,
                id,
                new.organizationID,
                new.ownerID,
                new.environmentID,
                repository.id,
                name,
                directory,
                WorkspaceState.new.rawValue,
                WorkspaceLocation.cloud.rawValue,
                new.baseReference,
                branch.text,
                new.issueURL,
                now,
                now
            )
            guard let row = try transaction.first(WorkspaceStore.byID, id, new.organizationID) else {
                throw Self.unknown(id)
            }
            let record = try WorkspaceStore.record(row)
            transaction.record(try Self.fact("workspace.created", record, by: new.ownerID, at: now))
            return record
        }
        .value
        return (workspace, Self.request(workspace, repository, push: new.push, commitLeftovers: new.commitLeftovers))
    }

    /// For a further run in a workspace that exists.
    public func request(_ workspace: WorkspaceRecord, push: Bool, commitLeftovers: Bool) async throws
        -> WorkspaceRequest
    {
        guard workspace.state != .archived else {
            throw BerthError(.illegalTransition, "the workspace is archived", remedy: "create another")
        }
        guard let repositoryID = workspace.repositoryID else {
            throw BerthError(.unsupported, "the workspace has no repository")
        }
        let repository = try await repository(repositoryID, organization: workspace.organizationID)
        return Self.request(workspace, repository, push: push, commitLeftovers: commitLeftovers)
    }

    private static func request(
        _ workspace: WorkspaceRecord,
        _ repository: RepositoryRecord,
        push: Bool,
        commitLeftovers: Bool
    ) -> WorkspaceRequest {
        WorkspaceRequest(
            workspaceID: workspace.id,
            directory: workspace.directory,
            repositoryURL: repository.url,
            baseReference: workspace.baseReference ?? repository.defaultBranch,
            branch: workspace.branch,
            push: push,
            commitLeftovers: commitLeftovers
        )
    }

    public func get(_ id: WorkspaceID, organization: OrganizationID, visibleTo user: UserID?) async throws
        -> WorkspaceRecord
    {
        let row = try await database.read { try $0.first(WorkspaceStore.byID, id, organization) }
        guard let row else { throw Self.unknown(id) }
        let record = try WorkspaceStore.record(row)
        guard user == nil || record.ownerID == user else { throw Self.unknown(id) }
        return record
    }

    /// Newest first. `after` is the last one of the page before.
    public func list(
        _ organization: OrganizationID,
        visibleTo user: UserID?,
        environment: EnvironmentID? = nil,
        after: WorkspaceID? = nil,
        limit: Int = 100
    ) async throws -> [WorkspaceRecord] {
        try await database.read { connection in
            try connection.rows(WorkspaceStore.list, organization, user, environment, after, limit)
                .map(WorkspaceStore.record)
        }
    }

    /// Newest first, within a read of the caller's.
    public func list(
        _ organization: OrganizationID,
        visibleTo user: UserID?,
        after: WorkspaceID?,
        limit: Int,
        in connection: any SQLConnection
    ) throws -> [WorkspaceRecord] {
        try connection.rows(WorkspaceStore.list, organization, user, nil as EnvironmentID?, after, limit)
            .map(WorkspaceStore.record)
    }

    /// nil where there is none that `user` may see.
    public func find(
        _ id: WorkspaceID,
        organization: OrganizationID,
        visibleTo user: UserID?,
        in connection: any SQLConnection
    ) throws -> WorkspaceRecord? {
        let record = try connection.first(WorkspaceStore.byID, id, organization).map(WorkspaceStore.record)
        return record.flatMap { user == nil || $0.ownerID == user ? $0 : nil }
    }

    /// By id, within a read of the caller's.
    public func repositories(
        _ organization: OrganizationID,
        after: RepositoryID?,
        limit: Int,
        in connection: any SQLConnection
    ) throws -> [RepositoryRecord] {
        try connection.rows(WorkspaceStore.repositoryList, organization, after?.text ?? "", limit)
            .map(WorkspaceStore.repository)
    }

    public func findRepository(_ id: RepositoryID, organization: OrganizationID, in connection: any SQLConnection)
        throws -> RepositoryRecord?
    {
        try connection.first(WorkspaceStore.repositoryByID, id, organization).map(WorkspaceStore.repository)
    }

    public func archive(_ id: WorkspaceID, organization: OrganizationID, by user: UserID, visibleTo: UserID?)
        async throws -> WorkspaceRecord
    {
        _ = try await get(id, organization: organization, visibleTo: visibleTo)
        return try await change(id, organization, actor: user) { machine in try machine.archive() }
    }

    /// What an execution in a workspace means for it. Called after each of its changes; repeated calls change nothing.
    public func executionChanged(
        _ execution: ExecutionID,
        workspace: WorkspaceID,
        organization: OrganizationID,
        state: ExecutionState,
        outcome: WorkspaceOutcome?,
        failure: FailureReason?
    ) async {
        do {
            try await change(workspace, organization, outcome: outcome) { machine in
                switch (state, machine.status) {
                case (.queued, _), (_, .archived): break
                case (.assigned, _): try machine.provision()
                case (.running, .provisioning): try machine.ready()
                case (_, .provisioning) where outcome != nil: try machine.ready()
                case (_, .new) where state.isTerminal, (_, .provisioning) where state.isTerminal:
                    try machine.fail(failure ?? FailureReason(.cancelled, "its execution is \(state)"))
                default: break
                }
            }
        } catch {
            log.warning(
                "workspace not updated",
                ["workspace_id": workspace, "execution_id": execution, "error": "\(error)"]
            )
        }
    }

    @discardableResult
    private func change(
        _ id: WorkspaceID,
        _ organization: OrganizationID,
        actor: UserID? = nil,
        outcome: WorkspaceOutcome? = nil,
        _ event: @escaping @Sendable (inout WorkspaceMachine) throws -> Void
    ) async throws -> WorkspaceRecord {
        let now = time.now
        return try await withMovingRows {
            try await feed.transaction(organization: organization) { transaction in
                guard let row = try transaction.first(WorkspaceStore.byID, id, organization) else {
                    throw Self.unknown(id)
                }
                let record = try WorkspaceStore.record(row)
                let before = WorkspaceStore.machine(record)
                var machine = before
                try event(&machine)
                guard machine != before || (outcome != nil && outcome != record.outcome) else { return record }
                var message: String?
                if case .failed(let reason) = machine.status { message = reason.message }
                let text = try outcome.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) }
                let changed = try transaction.run(
                    WorkspaceStore.update,
                    id,
                    organization,
                    record.version,
                    machine.state.rawValue,
                    message,
                    machine.state == record.state ? record.stateEnteredAt : now,
                    outcome?.baseCommit,
                    outcome?.headCommit,
                    outcome?.branch,
                    text,
                    now,
                    machine.state == .archived ? now : nil
                )
                guard changed == 1, let row = try transaction.first(WorkspaceStore.byID, id, organization) else {
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

    /// Any name git may know a commit by, short of what it would read as an option or a range.
    private static func validate(reference: String) throws(BerthError) {
        let isPlain =
            !reference.isEmpty && reference.utf8.count <= 240 && !reference.looksLikeOption && !reference.hasMarkedSign
            && !reference.contains("..")
            && reference.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && !"~^:?*[\\".utf8.contains($0) }
        guard isPlain else {
            throw BerthError(
                .invalidValue,
                "'\(reference.prefix(120))' is no branch, tag or commit",
                field: "repository.base",
                remedy: "give a branch, a tag or a commit's full name"
            )
        }
    }

    private static func fact(_ type: String, _ record: WorkspaceRecord, by actor: UserID?, at: Timestamp) throws
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
