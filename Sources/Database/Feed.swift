public import Base

/// The one way to change an organization's rows: every change with its events, numbered in commit order.
public struct Feed: Sendable {
    let database: any SQLDatabase
    private let signal: FeedSignal
    /// Rings when wake-ups of other processes may have been missed.
    private let missed = Wakeup()

    /// One per database: it also carries the wake-ups from writers to readers, of other processes too.
    public init(_ database: any SQLDatabase) {
        self.database = database
        let signal = FeedSignal()
        self.signal = signal
        let missed = missed
        database.wakeUps?.listen(Self.topic) { wakeUp in
            guard let wakeUp else { return missed.ring() }
            guard let organization = try? OrganizationID(wakeUp.subject), let seq = Int64(wakeUp.payload) else {
                return
            }
            signal.advance(organization, to: seq)
        }
    }

    /// Looks for what other processes recorded and nobody told of; ends at once where there are no others. Throws
    /// `CancellationError`, and what a failed read throws.
    public func run(time: any TimeSource) async throws {
        guard database.wakeUps != nil else { return }
        while true {
            let count = missed.count
            let waiting = signal.organizations
            let positions = try await database.read { connection in
                try waiting.map { ($0, try connection.first(Self.last, $0)?.integer("seq") ?? 0) }
            }
            for (organization, seq) in positions { signal.advance(organization, to: seq) }
            try await missed.wait(after: count, until: time.uptime + Self.pollInterval, time: time)
        }
    }

    /// Of the wake-ups that tell of recorded events: the subject is the organization, the payload the number.
    public static let topic = "feed"
    private static let pollInterval = Duration.seconds(2)

    /// Runs `body` in one transaction, records its events, and wakes who waits for them.
    /// A transaction that changed rows and recorded nothing is rolled back as `internal`: it is a mistake of ours.
    @discardableResult
    public func transaction<Value: Sendable>(
        organization: OrganizationID,
        _ body: @escaping @Sendable (FeedTransaction) throws -> Value
    ) async throws -> Committed<Value> {
        let (value, number) = try await database.write(of: organization) { connection in
            let transaction = FeedTransaction(connection, organization)
            let value = try body(transaction)
            return (value, try transaction.finish())
        }
        let committed = Committed(value: value, seq: number?.value)
        if let seq = committed.seq {
            FeedReceipt.current?.note(seq, organization)
            signal.advance(organization, to: seq)
            database.wakeUps?.send(WakeUp(Self.topic, organization, "\(seq)"))
        }
        return committed
    }

    /// Events after `seq`, oldest first. `visibleTo` leaves out what belongs to other users; nil shows everything.
    public func read(
        _ organization: OrganizationID,
        after seq: Int64,
        limit: Int,
        visibleTo user: UserID?
    ) async throws -> [Event] {
        try await database.read { connection in
            try connection.rows(Self.page, organization, seq, limit, user).map(Event.init)
        }
    }

    /// The number of the organization's last event; 0 when there is none.
    public func position(_ organization: OrganizationID) async throws -> Int64 {
        try await database.read { try $0.first(Self.last, organization)?.integer("seq") ?? 0 }
    }

    /// Returns when an event after `seq` was committed, here or by another process; at once when one was already. Throws
    /// `CancellationError`. Read before the first wait: commits of an earlier process are not known here.
    public func waitForEvent(_ organization: OrganizationID, after seq: Int64) async throws {
        try await signal.wait(organization, after: seq)
    }

    static let advance: SQL = "UPDATE feed SET seq = seq + $2 WHERE organization_id = $1 RETURNING seq"
    /// By the number of events that each stores, the largest first. The organization is `$1`; each event brings eight
    /// values more.
    static let inserts: [(size: Int, statement: SQL)] = [32, 8, 2, 1].map { size in
        let rows = (0..<size).map { row -> SQL in
            "($1, " + SQL.placeholders(from: 2 + 8 * row, count: 8) + (row == size - 1 ? ")" : "), ")
        }
        return (
            size,
            rows.reduce(
                """
                INSERT INTO events (organization_id, seq, type, version, subject, owner_id, actor_id, payload, recorded_at)
                VALUES\u{20}
                """,
                +
            )
        )
    }
    static let page: SQL = """
        SELECT organization_id, seq, type, version, subject, owner_id, actor_id, payload, recorded_at FROM events
        WHERE organization_id = $1 AND seq > $2
            AND (CAST($4 AS TEXT) IS NULL OR owner_id IS NULL OR owner_id = $4)
        ORDER BY seq LIMIT $3
        """
    static let last: SQL = "SELECT seq FROM feed WHERE organization_id = $1"

    /// For the test that prepares every statement.
    public static let statements =
        inserts.map(\.statement) + [advance, page, last, oldest, organizations, ages, delete]
}
