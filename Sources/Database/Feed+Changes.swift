public import Base

// What followers of the change feed read: every event of an organization, without a gap.
extension Feed {
    /// Numbers that can still be read.
    public struct Bounds: Sendable, Equatable {
        /// The first one that is kept; one more than `last` when none is.
        public var oldest: Int64
        /// The organization's last; 0 when there was none.
        public var last: Int64
    }

    public func bounds(_ organization: OrganizationID) async throws -> Bounds {
        try await database.read { connection in
            let last = try connection.first(Self.last, organization)?.integer("seq") ?? 0
            let oldest = try connection.first(Self.oldest, organization)?.optionalInteger("seq")
            return Bounds(oldest: oldest ?? last + 1, last: last)
        }
    }

    /// The events that follow number `seq`, whoever may see them, oldest first; none when it is the last one. Throws
    /// `gone` when some of them are kept no longer, or when the organization never came to `seq`.
    public func next(_ organization: OrganizationID, after seq: Int64, limit: Int) async throws -> [Event] {
        try await database.read { connection in
            let events = try connection.rows(Self.page, organization, seq, limit, nil as String?).map(Event.init)
            if let first = events.first {
                guard first.seq == seq + 1 else { throw Self.gone(seq, oldest: first.seq) }
                return events
            }
            let last = try connection.first(Self.last, organization)?.integer("seq") ?? 0
            guard seq <= last else {
                throw BerthError(
                    .gone,
                    "position \(seq) is ahead of the last change, \(last): the database is older than it",
                    field: "after",
                    remedy: "begin anew with snapshot=true"
                )
            }
            guard seq == last else { throw Self.gone(seq, oldest: last + 1) }
            return []
        }
    }

    private static func gone(_ seq: Int64, oldest: Int64) -> BerthError {
        BerthError(
            .gone,
            "the changes after \(seq) are kept no longer; the oldest is \(oldest)",
            field: "after",
            remedy: "begin anew with snapshot=true, or go on with after=\(oldest - 1)"
        )
    }

    /// What `body` reads, and the number of the last event that it shows, from one snapshot.
    public func snapshot<Value: Sendable>(
        _ organization: OrganizationID,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> (value: Value, seq: Int64) {
        try await database.read { connection in
            let seq = try connection.first(Self.last, organization)?.integer("seq") ?? 0
            return (try body(connection), seq)
        }
    }

    /// Deletes what was recorded before `cutoff`, except what comes after number `floor`. Returns how many were deleted.
    @discardableResult
    public func prune(before cutoff: Timestamp, keepingAfter floor: @Sendable (OrganizationID) async throws -> Int64)
        async throws -> Int
    {
        let organizations = try await database.read {
            try $0.rows(Self.organizations).map { try Self.organization($0) }
        }
        var count = 0
        for organization in organizations {
            let floor = try await floor(organization)
            while true {
                let deleted = try await database.write { connection in
                    let rows = try connection.rows(Self.ages, organization, Self.prunedAtOnce)
                    let old = try rows.prefix {
                        try $0.timestamp("recorded_at") < cutoff && $0.integer("seq") <= floor
                    }
                    guard let last = try old.last?.integer("seq") else { return 0 }
                    return try connection.run(Self.delete, organization, last)
                }
                count += deleted
                guard deleted == Self.prunedAtOnce else { break }
            }
        }
        return count
    }

    private static func organization(_ row: Row) throws -> OrganizationID { try row.id("organization_id") }

    /// So that no transaction holds up the writers for long.
    private static let prunedAtOnce = 1000

    static let oldest: SQL = "SELECT MIN(seq) AS seq FROM events WHERE organization_id = $1"
    static let organizations: SQL = "SELECT organization_id FROM feed ORDER BY organization_id"
    static let ages: SQL = "SELECT seq, recorded_at FROM events WHERE organization_id = $1 ORDER BY seq LIMIT $2"
    static let delete: SQL = "DELETE FROM events WHERE organization_id = $1 AND seq <= $2"
}
