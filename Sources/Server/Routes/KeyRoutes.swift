import API
import Accounts
import Base
import Crypto
import Transport

/// `/v1/keys`.
extension ServerCore {
    func keyCreate(_ context: RequestContext) async throws -> HTTPResponse {
        let body: CreateAPIKey = try await context.body(limit: configuration.maximumBodyBytes)
        let made = try await accounts.createKey(
            name: body.name,
            kind: body.kind == "team" ? .team : .personal,
            expiresAt: body.expiresAt,
            by: try context.principal
        )
        var response = try Self.json(
            CreatedAPIKey(key: APIKeyView(made.key), token: made.token.reveal()),
            status: 201
        )
        response.headers.set("cache-control", "no-store")
        return response
    }

    func keyList(_ context: RequestContext) async throws -> HTTPResponse {
        let keys = try await accounts.keys(of: try context.principal)
        return try Self.json(Page(items: keys.map(APIKeyView.init)))
    }

    func keyRevoke(_ context: RequestContext) async throws -> HTTPResponse {
        let id: APIKeyID = try context.id("keyId")
        let principal = try context.principal
        try await accounts.revokeKey(id, by: principal)
        sessions.sever(id)
        guard let key = try await accounts.keys(of: principal).first(where: { $0.id == id }) else {
            throw BerthError(.notFound, "there is no API key \(id)")
        }
        return try Self.json(APIKeyView(key))
    }
}

extension APIKeyView {
    init(_ key: APIKey) {
        self.init(
            id: key.id,
            userId: key.userID,
            name: key.name,
            ending: key.ending,
            createdAt: key.createdAt,
            expiresAt: key.expiresAt,
            lastUsedAt: key.lastUsedAt,
            revokedAt: key.revokedAt
        )
    }
}
