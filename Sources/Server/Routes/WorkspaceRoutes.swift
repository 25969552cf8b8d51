import API
import Base
import Domain
import Transport
import WorkerProtocol
import Workspaces

/// `/v1/workspaces`.
extension ServerCore {
    func workspaceList(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let limit = Int(try context.integer("limit", default: 50))
        let records = try await workspaces.list(
            principal.organizationID,
            visibleTo: principal.visibleUser,
            withArchived: context.flag("archived"),
            after: try context.text("cursor").map { try WorkspaceID($0) },
            limit: limit + 1
        )
        let page = records.prefix(limit)
        let next = records.count > limit ? page.last?.id.text : nil
        return try Self.json(Page(items: page.map(Workspace.init), nextCursor: next))
    }

    func workspaceGet(_ context: RequestContext) async throws -> HTTPResponse {
        Self.workspace(try await workspace(context))
    }

    /// The workspace that the path names, by its id or its name.
    func workspace(_ context: RequestContext) async throws -> WorkspaceRecord {
        let principal = try context.principal
        return try await workspaces.find(
            context.parameter("workspaceId"),
            organization: principal.organizationID,
            user: principal.userID,
            visibleTo: principal.visibleUser
        )
    }

    static func workspace(_ record: WorkspaceRecord, status: Int = 200) -> HTTPResponse {
        guard var response = try? json(Workspace(record), status: status) else { return HTTPResponse(status: 500) }
        response.headers.set("etag", "\"\(record.version)\"")
        return response
    }

    func workspaceVerb(_ context: RequestContext) async throws -> HTTPResponse {
        if context.route.id == .workspaceCreate {
            let body: CreateWorkspace = try await context.body(limit: configuration.maximumBodyBytes)
            return Self.workspace(try await makeWorkspace(body, by: try context.principal), status: 201)
        }
        let record = try await workspace(context)
        let principal = try context.principal
        switch context.route.id {
        case .workspaceUpdate: return try await workspaceUpdate(record, context)
        case .workspaceRetry:
            let again = try await workspaces.retry(record, force: context.flag("force"), by: principal.userID)
            return Self.workspace(try await setUp(again.workspace, again.request, by: principal), status: 202)
        case .workspaceUnarchive:
            let again = try await workspaces.unarchive(record, runsSetup: context.flag("setup"), by: principal.userID)
            return Self.workspace(try await setUp(again.workspace, again.request, by: principal), status: 202)
        case .workspaceArchive:
            let body: ArchiveWorkspace = try await context.body(limit: configuration.maximumBodyBytes)
            return try Self.json(try await archive(record, body, by: principal))
        case .workspaceDelete: return Self.workspace(try await remove(record, by: principal))
        case .workspaceVariables, .workspaceVariablesSet, .workspaceVariableRemove:
            return try await workspaceVariables(record, context)
        case .workspaceSync:
            return Self.workspace(try await sync(record))
        case .workspaceConfiguration: return try await workspaceConfiguration(record)
        default: return try await runScript(record, context)
        }
    }

    private func workspaceUpdate(_ record: WorkspaceRecord, _ context: RequestContext) async throws -> HTTPResponse {
        let body: UpdateWorkspace = try await context.body(limit: configuration.maximumBodyBytes)
        let principal = try context.principal
        var edit = WorkspaceEdit()
        edit.name = body.name
        edit.description = body.description
        edit.isCloudSyncEnabled = body.cloudSyncEnabled
        edit.autoStopMinutes = body.autoStopMinutes
        edit.pullRequestURL = body.prUrl
        edit.isRatchetEnabled = body.ratchetEnabled
        if body.cloudSyncEnabled == true { try Self.checkSyncable(record, try await repositoryURL(of: record)) }
        return Self.workspace(
            try await workspaces.edit(record.id, organization: record.organizationID, edit, by: principal.userID)
        )
    }

    func repositoryURL(of record: WorkspaceRecord) async throws -> String? {
        guard let id = record.repositoryID else { return nil }
        return try await workspaces.repository(id, organization: record.organizationID).url
    }

    /// There must be a remote that the environment can ask.
    static func checkSyncable(_ record: WorkspaceRecord, _ url: String?) throws(BerthError) {
        guard record.directory.hasPrefix("/") || url?.hasPrefix(RepositoryURL.localPrefix) ?? true else { return }
        throw BerthError(
            .unsupported,
            "the workspace has no remote that its environment could look at",
            field: "cloudSyncEnabled",
            remedy: "sync the person's own checkout with 'berth ws sync PATH'"
        )
    }

    private func workspaceVariables(_ record: WorkspaceRecord, _ context: RequestContext) async throws -> HTTPResponse {
        let user = try context.principal.userID
        switch context.route.id {
        case .workspaceVariablesSet:
            let body: SetVariables = try await context.body(limit: configuration.maximumBodyBytes)
            try await workspaces.setVariables(
                body.variables.mapValues { Secret($0) },
                of: record.id,
                organization: record.organizationID,
                by: user
            )
        case .workspaceVariableRemove:
            try await workspaces.removeVariable(
                context.parameter("name"),
                of: record.id,
                organization: record.organizationID,
                by: user
            )
        default: break
        }
        let names = try await workspaces.variableNames(record.id, organization: record.organizationID)
        let missing = try await workspaces.missingVariables(record.id)
        return try Self.json(VariableNames(names: names, missing: missing.isEmpty ? nil : missing))
    }
}
