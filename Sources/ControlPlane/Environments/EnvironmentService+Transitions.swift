public import Base
import Database
public import Domain
import FoundationEssentials

/// A recorded change of an environment's state.
public struct EnvironmentTransition: Sendable, Equatable {
    public var seq: Int64
    public var type: String
    public var state: EnvironmentState
    public var desired: DesiredState
    public var instance: Int64
    /// nil: the server by itself.
    public var actorID: UserID?
    public var message: String?
    public var cause: EnvironmentCause?
    public var at: Timestamp
}

extension EnvironmentService {
    static let transitions: SQL = """
        SELECT seq, type, payload, actor_id, recorded_at FROM events
        WHERE organization_id = $1 AND subject = $2 AND seq < $3
            AND type NOT IN ('environment.rested', 'worker.revoked')
        ORDER BY seq DESC LIMIT $4
        """

    /// Newest first. `before` is the last number of the page before.
    public func transitions(
        _ id: EnvironmentID,
        organization: OrganizationID,
        visibleTo user: UserID?,
        before: Int64 = .max,
        limit: Int
    ) async throws -> [EnvironmentTransition] {
        struct Fact: Decodable {
            var state: EnvironmentState
            var desired: DesiredState
            var instance: Int64
            var message: String?
            var cause: EnvironmentCause?
        }
        _ = try await get(id, organization: organization, visibleTo: user)
        return try await database.read { connection in
            try connection.rows(Self.transitions, organization, id, before, limit).map { row in
                let fact = try JSONDecoder().decode(Fact.self, from: Data(try row.text("payload").utf8))
                return EnvironmentTransition(
                    seq: try row.integer("seq"),
                    type: try row.text("type"),
                    state: fact.state,
                    desired: fact.desired,
                    instance: fact.instance,
                    actorID: try row.optionalID("actor_id"),
                    message: fact.message,
                    cause: fact.cause,
                    at: try row.timestamp("recorded_at")
                )
            }
        }
    }

    /// All of an organization that are not destroyed, for its admins.
    public func all(_ organization: OrganizationID) async throws -> [EnvironmentRecord] {
        var found: [EnvironmentRecord] = []
        while true {
            let page = try await list(organization, visibleTo: nil, after: found.last?.id, limit: 500)
            found += page
            if page.count < 500 { return found }
        }
    }

    /// The user's personal environment; nil before its first use.
    public func mine(_ organization: OrganizationID, user: UserID) async throws -> EnvironmentRecord? {
        try await findPersonal(organization, user)
    }
}
