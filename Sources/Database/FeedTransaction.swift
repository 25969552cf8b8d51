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

    public var group: TransactionGroup? { connection.group }
    public var changedRows: Int64 { connection.changedRows }

    public func forEach(_ sql: SQL, _ values: [SQLValue], _ body: (Row) throws -> Bool) throws {
        try connection.forEach(sql, values, body)
    }

    public func execute(_ sql: SQL, _ values: [SQLValue]) throws -> Int { try connection.execute(sql, values) }
    public func post(_ sql: SQL, _ values: [SQLValue]) throws { try connection.post(sql, values) }
    public func post(_ sql: SQL, _ values: [SQLValue], orThrow error: any Error) throws {
        try connection.post(sql, values, orThrow: error)
    }
    public func post(_ row: RowStatement, _ values: [SQLValue], orThrow error: (any Error)?) throws {
        try connection.post(row, values, orThrow: error)
    }
    public func require(_ sql: SQL, _ values: [SQLValue], orThrow error: any Error) throws {
        try connection.require(sql, values, orThrow: error)
    }
    public func executeScript(_ text: String) throws { try connection.executeScript(text) }
    public func prepare(_ sql: SQL) throws { try connection.prepare(sql) }

    /// The row lock of `feed` makes the order of numbers the order of commits, so it is taken last: by the group, or here
    /// where there is none.
    func finish() throws -> FeedNumber? {
        guard !events.isEmpty else {
            guard connection.changedRows == 0 else {
                throw BerthError(
                    .internal,
                    "a change was not recorded",
                    detail: "a transaction of \(organizationID) changed rows without recording an event"
                )
            }
            return nil
        }
        let entry = FeedEntry(organizationID, events)
        if let group = connection.group {
            group.add(entry)
        } else {
            try FeedEntry.record([entry], on: connection)
        }
        return entry.number
    }
}
