import API
import Accounts
import Base
import Domain
import Environments
import Transport

/// `/v1/quota`, and how long environments live.
extension ServerCore {
    func quotaGet(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let usage = try await environments.quota(principal.organizationID, user: principal.userID)
        return try Self.json(Quota(userId: principal.userID, tier: usage.tier, environments: usage.environments))
    }

    func quotaSet(_ context: RequestContext) async throws -> HTTPResponse {
        let body: SetTier = try await context.body(limit: configuration.maximumBodyBytes)
        let principal = try context.principal
        let tier = try Tier.named(body.tier)
        let user = body.userId ?? principal.userID
        guard try await accounts.isMember(user, of: principal.organizationID) else {
            throw BerthError(.notFound, "there is no member \(user)", field: "userId", remedy: "name one by its id")
        }
        let usage = try await environments.setTier(
            tier,
            organization: principal.organizationID,
            user: user,
            by: principal.userID
        )
        return try Self.json(Quota(userId: user, tier: usage.tier, environments: usage.environments))
    }

    func environmentExtend(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let found = try await environment(context)
        let body: ExtendEnvironment = try await context.body(limit: configuration.maximumBodyBytes)
        let record = try await environments.extend(
            found.id,
            until: body.expiresAt,
            organization: principal.organizationID,
            by: principal.userID,
            visibleTo: principal.visibleUser
        )
        return Self.environment(record)
    }

    func environmentHealth(_ context: RequestContext) async throws -> HTTPResponse {
        let record = try await environment(context)
        return try Self.json(
            HealthOfEnvironment(
                status: record.state.rawValue,
                lastHealthCheckAt: record.lastHealthCheckAt,
                health: record.health
            )
        )
    }
}
