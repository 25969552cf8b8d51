import API
import Base
import Domain
import Transport
import Workers
import Workspaces

/// `/v1/repositories`, `/v1/workers`.
extension ServerCore {
    func repositoryCreate(_ context: RequestContext) async throws -> HTTPResponse {
        let body: CreateRepository = try await context.body(limit: configuration.maximumBodyBytes)
        let principal = try context.principal
        let record = try await workspaces.repository(
            body.url,
            organization: principal.organizationID,
            by: principal.userID,
            defaultBranch: body.defaultBranch
        )
        return try Self.json(Repository(record), status: 201)
    }

    func repositoryList(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let limit = Int(try context.integer("limit", default: 50))
        let records = try await workspaces.repositories(
            principal.organizationID,
            after: try context.text("cursor").map { try RepositoryID($0) },
            limit: limit + 1
        )
        let page = records.prefix(limit)
        let next = records.count > limit ? page.last?.id.text : nil
        return try Self.json(Page(items: page.map(Repository.init), nextCursor: next))
    }

    func repositoryGet(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let record = try await workspaces.repository(
            try context.id("repositoryId"),
            organization: principal.organizationID
        )
        return try Self.json(Repository(record))
    }

    func workerList(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let records = try await workers.list(
            principal.organizationID,
            visibleTo: principal.visibleUser,
            after: nil,
            limit: 200
        )
        return try Self.json(Page(items: records.map(WorkerStatus.init)))
    }

    func workerConnect(_ context: RequestContext) async throws -> HTTPResponse {
        guard let hub = hub.value else { throw BerthError(.unavailable, "the server is starting", isRetryable: true) }
        return try await hub.accept(context.request)
    }
}

extension Repository {
    init(_ record: RepositoryRecord) {
        self.init(
            id: record.id,
            name: record.name,
            url: record.url,
            defaultBranch: record.defaultBranch,
            createdAt: record.createdAt
        )
    }
}
