import Base
public import Database
public import EventBus

/// The feed as the lifecycle and events topics of the embedded bus: an event's offset is its number, so nothing is stored
/// twice. One topic for each organization.
public struct FeedView: LogView {
    private let topic: BusTopic
    private let database: any SQLDatabase
    private let feed: Feed
    private let tenants: BusTenants

    /// - Parameter topic: lifecycle or events.
    public init(_ topic: BusTopic, database: any SQLDatabase, feed: Feed, tenants: BusTenants) {
        self.topic = topic
        self.database = database
        self.feed = feed
        self.tenants = tenants
    }

    public func topics() async throws -> [String] {
        let organizations = try await database.read { connection in
            try connection.rows(BusStore.organizations).map { try $0.id(OrganizationKind.self, "organization_id") }
        }
        return organizations.map { tenants.name(of: topic, for: $0) }
    }

    public func contains(_ name: String) -> Bool {
        BusTopic.parse(name)?.topic == topic && tenants.organization(of: name) != nil
    }

    public func bounds(of name: String) async throws -> PartitionStatus {
        let bounds = try await feed.bounds(try organization(of: name))
        return PartitionStatus(partition: 0, first: bounds.oldest, end: bounds.last + 1)
    }

    public func read(_ name: String, from offset: Int64, limit: Int) async throws
        -> (messages: [BusMessage], next: Int64)
    {
        let organization = try organization(of: name)
        let events = try await feed.read(organization, after: offset - 1, limit: limit, visibleTo: nil)
        guard let last = events.last?.seq else { return ([], max(1, offset)) }
        let relevant = events.filter { BusMessages.topic(of: $0) == topic }
        let details = try await database.read { try BusStore.details(of: relevant, $0) }
        let messages = relevant.map { event in
            let made = BusMessages.message(event, details[event.subject] ?? .none, to: name)
            return BusMessage(
                topic: name,
                partition: 0,
                offset: event.seq,
                key: made.key,
                value: made.value,
                headers: made.headers,
                at: event.at
            )
        }
        return (messages, last + 1)
    }

    private func organization(of name: String) throws -> OrganizationID {
        guard let organization = tenants.organization(of: name) else {
            throw BerthError(.notFound, "there is no topic '\(name.prefix(80))'", field: "topic")
        }
        return organization
    }
}
