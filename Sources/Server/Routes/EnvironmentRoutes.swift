import API
import Base
import Database
import Domain
import Environments
import Transport

/// `/v1/environments`.
extension ServerCore {
    func environmentCreate(_ context: RequestContext) async throws -> HTTPResponse {
        let body: CreateEnvironment = try await context.body(limit: configuration.maximumBodyBytes)
        let principal = try context.principal
        let spec = environmentSpec(
            provider: body.provider,
            limits: body.limits,
            policy: body.limitsPolicy,
            network: body.network,
            image: body.image
        )
        let minutes = body.autoStopMinutes ?? IdlePolicy.defaultMinutes
        let record: EnvironmentRecord
        if body.name == "personal" {
            record = try await environments.personal(principal.organizationID, user: principal.userID, spec: spec)
        } else {
            var new = NewEnvironment(
                organizationID: principal.organizationID,
                ownerID: principal.userID,
                name: body.name,
                spec: spec,
                autoStopMinutes: minutes == 0 ? nil : minutes
            )
            new.expiresAt = body.expiresAt
            record = try await environments.create(new)
        }
        return Self.environment(record, status: 201)
    }

    func environmentSpec(
        provider: ProviderKind?,
        limits: ResourceLimits?,
        policy: LimitsPolicy?,
        network: NetworkPolicy?,
        image: String? = nil
    ) -> EnvironmentSpec {
        providers.spec(
            configuration,
            provider: provider,
            limits: limits,
            policy: policy,
            network: network,
            image: image
        )
    }

    func environmentList(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let limit = Int(try context.integer("limit", default: 50))
        let records = try await environments.list(
            principal.organizationID,
            visibleTo: principal.visibleUser,
            after: try context.text("cursor").map { try EnvironmentID($0) },
            limit: limit + 1
        )
        let page = records.prefix(limit)
        return try Self.json(
            Page(
                items: page.map(API.Environment.init),
                nextCursor: records.count > limit ? page.last?.id.text : nil
            )
        )
    }

    func environmentGet(_ context: RequestContext) async throws -> HTTPResponse {
        var record = try await environment(context)
        let wait = try context.integer("waitMs", default: 0)
        let version = try context.integer("afterVersion", default: -1)
        let deadline = time.uptime + .milliseconds(wait)
        let organization = try context.principal.organizationID
        while record.version <= version, time.uptime < deadline {
            let position = try await feed.position(organization)
            record = try await environment(context)
            guard record.version <= version else { break }
            try await waitForChange(organization, after: position, atMost: deadline - time.uptime)
            record = try await environment(context)
        }
        return Self.environment(record)
    }

    func environmentWhy(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let history = try await environments.why(
            try await environment(context).id,
            organization: principal.organizationID,
            visibleTo: principal.visibleUser
        )
        let record = history.environment
        return try Self.json(
            EnvironmentWhy(
                status: record.state.rawValue,
                desired: record.desired.rawValue,
                since: record.stateEnteredAt,
                message: record.reason,
                deadlineAt: record.deadlineAt,
                allowed: record.allowed,
                changes: history.facts.map { fact in
                    Change(
                        sequence: fact.seq,
                        type: fact.type,
                        subject: record.id.text,
                        payload: (try? JSONValue(parsing: fact.payload.utf8)) ?? .null,
                        at: fact.at
                    )
                }
            )
        )
    }

    func environmentVerb(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let found = try await environment(context)
        let id = found.id
        let (organization, user, visible) = (principal.organizationID, principal.userID, principal.visibleUser)
        let record: EnvironmentRecord
        switch context.route.id {
        case .environmentStart:
            record = try await environments.start(id, organization: organization, by: user, visibleTo: visible)
        case .environmentStop:
            // Before: afterwards nobody knows it any more.
            let losses = try await environments.losses(of: found)
            let stopped = try await environments.stop(id, organization: organization, by: user, visibleTo: visible)
            return Self.environment(stopped, status: 202, lost: losses)
        case .environmentPause:
            record = try await environments.pause(id, organization: organization, by: user, visibleTo: visible)
        case .environmentResume:
            record = try await environments.resume(id, organization: organization, by: user, visibleTo: visible)
        case .environmentRetry:
            record = try await environments.retry(id, organization: organization, by: user, visibleTo: visible)
        case .environmentDestroy where context.text("force") == "true":
            record = try await environments.destroyByForce(
                id,
                organization: organization,
                by: user,
                visibleTo: visible
            )
        case .environmentDestroy:
            record = try await environments.destroy(id, organization: organization, by: user, visibleTo: visible)
        default: throw BerthError(.internal, "\(context.route.id.rawValue) is no verb of environments")
        }
        return Self.environment(record, status: 202)
    }

    /// By the id or the caller's own name for it.
    func environment(_ context: RequestContext) async throws -> EnvironmentRecord {
        let principal = try context.principal
        return try await environments.find(
            context.parameter("environmentId"),
            organization: principal.organizationID,
            user: principal.userID
        )
    }

    static func environment(_ record: EnvironmentRecord, status: Int = 200, lost: [String]? = nil) -> HTTPResponse {
        var environment = API.Environment(record)
        environment.lost = lost
        var response = HTTPResponse.json(environment.json, status: status)
        response.headers.set("etag", "\"\(record.version)\"")
        return response
    }
}

extension EnvironmentRecord {
    /// Why it is as it is: the cause of its error, else what its provider said.
    var reason: String? {
        guard let cause else { return message ?? rest?.summary }
        return cause.message + (cause.remedy.map { " (\($0))" } ?? "")
    }
}

extension API.Environment {
    init(_ record: EnvironmentRecord) {
        self.init(
            id: record.id,
            name: record.name,
            ownership: record.ownership,
            status: record.state.rawValue,
            desired: record.desired.rawValue,
            statusSince: record.stateEnteredAt,
            instance: record.instance,
            spec: record.spec,
            createdAt: record.createdAt,
            version: record.version
        )
        statusMessage = record.reason
        deadlineAt = record.deadlineAt
        limitsEnforced = record.limitsEnforced?.rawValue
        limitations = record.limitations
        autoStopMinutes = record.autoStopMinutes
        idleStopMinutes = record.idleStopMinutes
        requestedLimits = record.requested
        expiresAt = record.expiresAt
        lastHealthCheckAt = record.lastHealthCheckAt
        lastActiveAt = record.lastActiveAt
    }
}
