public import Base
public import Database
import Domain
public import EventBus

/// Whose a topic is, and for whom its messages run.
public struct BusTenants: Sendable {
    /// The organization whose topics bear no prefix.
    public let home: OrganizationID
    /// Whether the home organization's topics are published under its prefix as well.
    private let prefixesHome: Bool
    /// Who owns what the exec topic asks for, in the organizations where this user is a member; elsewhere the first owner.
    private let user: UserID?
    private let database: any SQLDatabase

    public init(home: OrganizationID, prefixesHome: Bool, user: UserID?, database: any SQLDatabase) {
        self.home = home
        self.prefixesHome = prefixesHome
        self.user = user
        self.database = database
    }

    /// The topic that an organization's messages are published to.
    public func name(of topic: BusTopic, for organization: OrganizationID) -> String {
        topic.name(tenant: organization == home && !prefixesHome ? nil : organization)
    }

    /// Whose a topic is by its name, whether or not there is such an organization.
    public func organization(of topic: String) -> OrganizationID? {
        guard let parsed = BusTopic.parse(topic) else { return nil }
        guard let tenant = parsed.tenant else { return home }
        return try? OrganizationID(String(tenant))
    }

    /// For whom a message of this topic runs. Throws `notFound` for a tenant that is not here.
    func principal(for topic: String) async throws -> Principal {
        guard let organization = organization(of: topic) else {
            throw BerthError(.notFound, "the topic names no organization", field: "topic")
        }
        let user = user
        let row = try await database.read { connection in
            try user.flatMap { try connection.first(BusStore.member, organization, $0) }
                ?? connection.first(BusStore.firstOwner, organization)
        }
        guard let row else {
            throw BerthError(.notFound, "there is no organization \(organization) with an owner", field: "topic")
        }
        return Principal(
            organizationID: organization,
            userID: try row.id("user_id"),
            role: try row.value("role")
        )
    }
}
