import Base
import Database
import DatabasePostgres
import Migrations
import Synchronization
import TestSupport
import Testing

/// Several processes on one database: here, several engines of one process.
@Suite struct WakeUpTests {
    private func withTwo(
        _ body: (_ one: PostgresDatabase, _ other: PostgresDatabase) async throws -> Void
    ) async throws {
        let cluster = try await PostgresCluster.shared()
        try await cluster.withDatabase(migrated: true) { name in
            let configuration = try PostgresConfiguration(url: cluster.url(name))
            let one = try PostgresDatabase(configuration, time: SystemTime())
            let other = try PostgresDatabase(configuration, time: SystemTime())
            try await body(one, other)
            await one.close()
            await other.close()
        }
    }

    private func organization(in database: any SQLDatabase) async throws -> OrganizationID {
        let id: OrganizationID = IDSource(time: SystemTime(), randomness: SystemRandomness()).make()
        try await database.write { connection in
            try connection.run("INSERT INTO organizations (id, name, created_at) VALUES ($1, 'o', 0)", id)
            try connection.run("INSERT INTO feed (organization_id, seq) VALUES ($1, 0)", id)
        }
        return id
    }

    private func record(_ feed: Feed, _ organization: OrganizationID) async throws -> Int64? {
        try await feed.transaction(organization: organization) { transaction in
            transaction.record(
                NewEvent("test.happened", subject: "s", ownerID: nil, at: Timestamp(milliseconds: 0))
            )
        }
        .seq
    }

    @Test func `an event that another process records wakes who waits for it here`() async throws {
        try await withTwo { one, other in
            let (writing, reading) = (Feed(one), Feed(other))
            let organization = try await organization(in: one)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await reading.run(time: SystemTime()) }
                for expected in Int64(1)...20 {
                    async let woken: Void = reading.waitForEvent(organization, after: expected - 1)
                    let seq = try await record(writing, organization)
                    #expect(seq == expected)
                    try await woken
                }
                group.cancelAll()
            }
        }
    }

    @Test func `where no wake-up arrives a slow look finds the event`() async throws {
        try await withTwo { one, other in
            let reading = Feed(other)
            let organization = try await organization(in: one)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await reading.run(time: SystemTime()) }
                async let woken: Void = reading.waitForEvent(organization, after: 0)
                // As a process that dies between its commit and its wake-up.
                let advance: SQL = "UPDATE feed SET seq = seq + 1 WHERE organization_id = $1"
                try await one.write { try $0.run(advance, organization) }
                try await woken
                group.cancelAll()
            }
        }
    }

    @Test func `of many wake-ups about one subject the last arrives, and none comes back to its sender`() async throws {
        try await withTwo { one, other in
            let (own, heard) = (Inbox(), Inbox())
            one.wakeUps?.listen("dispatch") { own.receive($0) }
            other.wakeUps?.listen("dispatch") { heard.receive($0) }
            // Both listen once they were told that they may have missed something.
            try await own.wait { $0.contains(nil) }
            try await heard.wait { $0.contains(nil) }
            for number in 1...5000 { one.wakeUps?.send(WakeUp("dispatch", "queue", "\(number)")) }
            try await heard.wait { $0.last == WakeUp("dispatch", "queue", "5000") }
            #expect(heard.count < 5000)
            #expect(own.count == 1)
        }
    }
}

/// What a listener heard.
private final class Inbox: Sendable {
    private let heard = Mutex<[WakeUp?]>([])
    private let bell = Wakeup()

    var count: Int { heard.withLock(\.count) }

    func receive(_ wakeUp: WakeUp?) {
        heard.withLock { $0.append(wakeUp) }
        bell.ring()
    }

    func wait(_ condition: ([WakeUp?]) -> Bool) async throws {
        let deadline = SystemTime().uptime + .seconds(30)
        while true {
            let count = bell.count
            if heard.withLock({ condition($0) }) { return }
            try #require(SystemTime().uptime < deadline)
            try await bell.wait(after: count, until: deadline, time: SystemTime())
        }
    }
}
