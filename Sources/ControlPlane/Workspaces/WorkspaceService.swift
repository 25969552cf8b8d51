public import Base
public import Crypto
public import Database
import Domain
import FoundationEssentials

/// Repositories and the checkouts made of them. The checkout itself is done by the environment's worker.
public struct WorkspaceService: Sendable {
    let database: any SQLDatabase
    let feed: Feed
    let sealer: Sealer
    let time: any TimeSource
    let ids: IDSource
    let log: Log

    public init(
        database: any SQLDatabase,
        feed: Feed,
        sealer: Sealer,
        time: any TimeSource,
        ids: IDSource,
        log: Log
    ) {
        self.database = database
        self.feed = feed
        self.sealer = sealer
        self.time = time
        self.ids = ids
        self.log = log
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] {
        WorkspaceStore.statements + WorkspaceVariableStore.statements + WorkspaceSyncStore.statements
    }

    /// Throws `conflict` where another server owns the workspace: what is written into the copy here would be lost.
    public func checkOwned(_ id: WorkspaceID, organization: OrganizationID) async throws {
        try await database.read { try Self.checkOwned(id, organization, in: $0) }
    }

    /// Only the server that owns a workspace changes it, and not while it is on its way.
    static func checkOwned(_ id: WorkspaceID, _ organization: OrganizationID, in connection: any SQLConnection) throws {
        guard let row = try connection.first(WorkspaceStore.custody, id, organization) else { throw unknown(id) }
        switch try row.value("custody") as Custody {
        case .owned: break
        case .frozen, .arriving:
            throw BerthError(.conflict, "the workspace is on its way", remedy: "see 'berth ws hand-overs'")
        case .away, .orphaned:
            throw BerthError(
                .conflict,
                "the workspace is not here any more: another server has it",
                remedy: "change it there, or pull it: 'berth ws pull NAME --from REMOTE'"
            )
        }
    }

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

// Reading workspaces.
extension WorkspaceService {
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
        withArchived: Bool = false,
        after: WorkspaceID? = nil,
        limit: Int = 100
    ) async throws -> [WorkspaceRecord] {
        try await database.read { connection in
            try connection.rows(
                WorkspaceStore.list,
                organization,
                user,
                environment,
                after,
                limit,
                withArchived ? 1 : 0
            )
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
        try connection.rows(WorkspaceStore.list, organization, user, nil as EnvironmentID?, after, limit, 0)
            .map(WorkspaceStore.record)
    }

    /// By its id, or the name that its owner gave it; a living one before one that is archived.
    public func find(_ wanted: String, organization: OrganizationID, user: UserID, visibleTo: UserID?) async throws
        -> WorkspaceRecord
    {
        if let id = try? WorkspaceID(wanted) {
            return try await get(id, organization: organization, visibleTo: visibleTo)
        }
        let row = try await database.read { try $0.first(WorkspaceStore.byName, organization, user, wanted) }
        guard let row else {
            throw BerthError(
                .notFound,
                "there is no workspace '\(wanted.prefix(80))'",
                field: "workspaceId",
                remedy: "list them with 'berth ws ls'"
            )
        }
        return try WorkspaceStore.record(row)
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
}
