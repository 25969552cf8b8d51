import API
import Base
import Domain
import Environments
import Executions
import Glibc
import Replicas
import Transport

/// What can be seen of environments beside themselves.
extension ServerCore {
    func environmentMine(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        guard let mine = try await environments.mine(principal.organizationID, user: principal.userID) else {
            throw Self.noneYet
        }
        return Self.environment(mine)
    }

    static let noneYet = BerthError(
        .notFound,
        "you have no environment of your own yet",
        remedy: "it is made at the first run, or by 'berth env provision'"
    )

    func environmentProvision(_ context: RequestContext) async throws -> HTTPResponse {
        let body: ProvisionEnvironment = try await context.body(limit: configuration.maximumBodyBytes)
        let principal = try context.principal
        let spec = environmentSpec(provider: body.provider, limits: body.limits, policy: nil, network: body.network)
        return Self.environment(
            try await environments.personal(principal.organizationID, user: principal.userID, spec: spec)
        )
    }

    func environmentExecutions(_ context: RequestContext) async throws -> HTTPResponse {
        var filter = ExecutionFilter()
        filter.environmentID = try await environment(context).id
        let page = try await executions.list(
            filter,
            after: try context.text("cursor").map { try ExecutionID($0) },
            limit: Int(try context.integer("limit", default: 50)),
            by: try context.principal
        )
        return try Self.json(Page(items: page.executions.map(API.Execution.init), nextCursor: page.next?.text))
    }

    func environmentTransitions(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let limit = Int(try context.integer("limit", default: 50))
        let before = try context.text("cursor").map { text in
            guard let seq = Int64(text), seq > 0 else {
                throw BerthError(.invalidValue, "'\(text.prefix(40))' is no cursor", field: "cursor")
            }
            return seq
        }
        let found = try await environments.transitions(
            try await environment(context).id,
            organization: principal.organizationID,
            visibleTo: principal.visibleUser,
            before: before ?? .max,
            limit: limit + 1
        )
        let page = found.prefix(limit)
        return try Self.json(
            Page(
                items: page.map(API.EnvironmentTransition.init),
                nextCursor: found.count > limit ? page.last.map { "\($0.seq)" } : nil
            )
        )
    }

    func environmentNetwork(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let id = try await environment(context).id
        let policy: NetworkPolicy = try await context.body(limit: configuration.maximumBodyBytes)
        return Self.environment(
            try await environments.setNetwork(
                policy,
                id,
                organization: principal.organizationID,
                by: principal.userID,
                visibleTo: principal.visibleUser
            )
        )
    }

    func flavourList(_ context: RequestContext) throws -> HTTPResponse {
        let machine = Self.machine
        let flavours = Domain.Flavour.all.map {
            API.Flavour(name: $0.name, limits: $0.limits, granted: $0.limits.capped(by: machine))
        }
        return try Self.json(Page(items: flavours))
    }

    /// What the server's own machine has.
    static var machine: ResourceLimits {
        ResourceLimits(
            cpus: Double(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))),
            memoryBytes: Int64(sysconf(Int32(_SC_PHYS_PAGES))) * Int64(sysconf(Int32(_SC_PAGESIZE)))
        )
    }

    func adminOverview(_ context: RequestContext) async throws -> HTTPResponse {
        try Self.json(try await overview(of: try context.principal.organizationID))
    }

    func overview(of organization: OrganizationID) async throws -> EnvironmentOverview {
        let all = try await environments.all(organization)
        var hosts = try await replicas.living().map {
            EnvironmentOverview.Host(serverId: $0.id, address: $0.address, version: $0.version, startedAt: $0.startedAt)
        }
        var statistics = EnvironmentOverview.Statistics()
        for record in all {
            statistics.add(record.spec.limits, state: record.state.rawValue)
            guard let place = hosts.firstIndex(where: { $0.serverId == record.replicaID }) else { continue }
            hosts[place].environments += 1
            if record.state == .running { hosts[place].running += 1 }
        }
        return EnvironmentOverview(environments: all.map(API.Environment.init), hosts: hosts, statistics: statistics)
    }

    func adminDestroy(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let record = try await environments.destroy(
            try context.id("environmentId"),
            organization: principal.organizationID,
            by: principal.userID,
            visibleTo: nil
        )
        return Self.environment(record, status: 202)
    }
}

extension API.EnvironmentTransition {
    init(_ transition: Environments.EnvironmentTransition) {
        self.init(
            sequence: transition.seq,
            action: transition.type,
            state: transition.state.rawValue,
            desired: transition.desired.rawValue,
            instance: transition.instance,
            actorId: transition.actorID,
            message: transition.message,
            failure: transition.cause.map { FailureReason($0.code, $0.message, remedy: $0.remedy) },
            at: transition.at
        )
    }
}
