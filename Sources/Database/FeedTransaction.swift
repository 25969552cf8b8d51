public import Base

/// A transaction of one organization: a connection that also takes the events to record at its end.
public final class FeedTransaction: SQLConnection {
    public let organizationID: OrganizationID
    private let connection: any SQLConnection
    private var events: [NewEvent] = []

    init(_ connection: any SQLConnection, _ organizationID: OrganizationID) {
        self.connection = connection
        self.organizationID = organizationID
    }

    /// Recorded under the organization's next number when the transaction commits.
    public func record(_ event: NewEvent) { events.append(event) }

    public var changedRows: Int64 { connection.changedRows }

    public func forEach(_ sql: SQL, _ values: [SQLValue], _ body: (Row) throws -> Bool) throws {
        try connection.forEach(sql, values, body)
    }

    public func execute(_ sql: SQL, _ values: [SQLValue]) throws -> Int { try connection.execute(sql, values) }
    public func post(_ sql: SQL, _ values: [SQLValue]) throws { try connection.post(sql, values) }
    public func executeScript(_ text: String) throws { try connection.executeScript(text) }
    public func prepare(_ sql: SQL) throws { try connection.prepare(sql) }

    /// The row lock of `feed` makes the order of numbers the order of commits, so it is taken last.
    func finish() throws -> Int64? {
        guard let first = events.first else {
            guard connection.changedRows == 0 else {
                throw BerthError(
                    .internal,
                    "a change was not recorded",
                    detail: "a transaction of \(organizationID) changed rows without recording an event"
                )
            }
            return nil
        }
        guard let row = try connection.first(Feed.advance, organizationID, events.count) else {
            throw BerthError(.notFound, "organization \(organizationID) does not exist", detail: first.type)
        }
        let last = try row.integer("seq")
        for (index, event) in events.enumerated() {
            try connection.post(
                Feed.insert,
                organizationID,
                last - Int64(events.count - 1 - index),
                event.type,
                event.version,
                event.subject,
                event.ownerID,
                event.actorID,
                event.payload,
                event.at
            )
        }
        return last
    }
}
