import Base
import Database
import TestSupport
import Testing

@Suite struct FeedTests {
    private let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
    private let now = Timestamp(milliseconds: 1)

    private func withFeed(
        on engine: DatabaseEngine,
        _ body: (Feed, OrganizationID, any SQLDatabase) async throws -> Void
    ) async throws {
        try await withDatabase(on: engine) { database in
            let organization: OrganizationID = ids.make()
            try await database.write { connection in
                try connection.run("INSERT INTO organizations (id, name, created_at) VALUES ($1, 'o', 1)", organization)
                try connection.run("INSERT INTO feed (organization_id) VALUES ($1)", organization)
            }
            try await body(Feed(database), organization, database)
        }
    }

    private func set(_ name: String, in feed: Feed, _ organization: OrganizationID) async throws -> Int64? {
        try await feed.transaction(organization: organization) { [now] transaction in
            try transaction.run("INSERT INTO settings (name, value, updated_at) VALUES ($1, '', 1)", name)
            transaction.record(NewEvent("setting.changed", subject: name, ownerID: nil, at: now))
        }.seq
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `numbers are dense and in commit order under concurrency`(engine: DatabaseEngine) async throws {
        try await withFeed(on: engine) { feed, organization, _ in
            try await withThrowingTaskGroup(of: Int64?.self) { group in
                for number in 0..<100 { group.addTask { try await set("s\(number)", in: feed, organization) } }
                var seen: [Int64] = []
                for try await seq in group { seen.append(try #require(seq)) }
                #expect(seen.sorted() == Array(1...100))
            }
            let events = try await feed.read(organization, after: 40, limit: 1000, visibleTo: nil)
            #expect(events.map(\.seq) == Array(41...100))
            let position = try await feed.position(organization)
            #expect(position == 100)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `who fails after it has written takes no number from its neighbours`(engine: DatabaseEngine) async throws {
        try await withFeed(on: engine) { feed, organization, _ in
            let now = now
            let seen = await withTaskGroup(of: Int64?.self) { group in
                for number in 0..<120 {
                    group.addTask {
                        let committed = try? await feed.transaction(organization: organization) { transaction in
                            try transaction.run(
                                "INSERT INTO settings (name, value, updated_at) VALUES ($1, '', 1)",
                                "s\(number)"
                            )
                            transaction.record(
                                NewEvent("setting.changed", subject: "s\(number)", ownerID: nil, at: now)
                            )
                            if number.isMultiple(of: 3) { throw BerthError(.conflict, "on purpose") }
                        }
                        return committed?.seq
                    }
                }
                return await group.reduce(into: [Int64]()) { if let seq = $1 { $0.append(seq) } }
            }
            #expect(seen.sorted() == Array(1...80))
            let events = try await feed.read(organization, after: 0, limit: 1000, visibleTo: nil)
            #expect(events.map(\.seq) == Array(1...80))
            #expect(events.allSatisfy { !(Int($0.subject.dropFirst()) ?? 0).isMultiple(of: 3) })
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `the events of one transaction keep their order, however many`(engine: DatabaseEngine) async throws {
        try await withFeed(on: engine) { feed, organization, _ in
            let now = now
            let committed = try await feed.transaction(organization: organization) { transaction in
                for number in 0..<75 {
                    transaction.record(NewEvent("thing.made", subject: "\(number)", ownerID: nil, at: now))
                }
            }
            #expect(committed.seq == 75)
            let events = try await feed.read(organization, after: 0, limit: 1000, visibleTo: nil)
            #expect(events.map(\.seq) == Array(1...75))
            #expect(events.map(\.subject) == (0..<75).map(String.init))
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a fenced write that finds its row moved fails alone, as itself`(engine: DatabaseEngine) async throws {
        try await withFeed(on: engine) { feed, organization, database in
            try await database.write { connection in
                try connection.run("INSERT INTO settings (name, value, updated_at) VALUES ('fenced', '', 1)")
            }
            let now = now
            let moved = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<60 {
                    group.addTask {
                        do {
                            try await feed.transaction(organization: organization) { transaction in
                                try transaction.post(
                                    "INSERT INTO settings (name, value, updated_at) VALUES ($1, '', 1)",
                                    "s\(number)"
                                )
                                let sql: SQL =
                                    "UPDATE settings SET value = 'x' WHERE name = 'fenced' AND updated_at = $1"
                                let version = number.isMultiple(of: 10) ? 2 : 1
                                try transaction.post(sql, [version.sqlValue], orThrow: MovedRow("fenced"))
                                transaction.record(NewEvent("setting.changed", subject: "x", ownerID: nil, at: now))
                            }
                            return false
                        } catch is MovedRow {
                            return true
                        } catch {
                            Issue.record(error)
                            return false
                        }
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(moved == 6)
            #expect(try await feed.position(organization) == 54)
            let rows = try await database.read { try $0.rows("SELECT name FROM settings").count }
            #expect(rows == 55)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a change without an event is rolled back`(engine: DatabaseEngine) async throws {
        try await withFeed(on: engine) { feed, organization, database in
            let error = await #expect(throws: BerthError.self) {
                try await feed.transaction(organization: organization) {
                    try $0.run("INSERT INTO settings (name, value, updated_at) VALUES ('a', '', 1)")
                }
            }
            #expect(error?.code == .internal)
            let rows = try await database.read { try $0.rows("SELECT name FROM settings") }
            #expect(rows.isEmpty)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a transaction that changes nothing has no number`(engine: DatabaseEngine) async throws {
        try await withFeed(on: engine) { feed, organization, _ in
            let committed = try await feed.transaction(organization: organization) { _ in 7 }
            #expect(committed.value == 7)
            #expect(committed.seq == nil)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `what belongs to one user is not shown to another`(engine: DatabaseEngine) async throws {
        try await withFeed(on: engine) { feed, organization, _ in
            let (first, second): (UserID, UserID) = (ids.make(), ids.make())
            let now = now
            try await feed.transaction(organization: organization) { transaction in
                for owner in [first, second, nil] {
                    transaction.record(NewEvent("thing.made", subject: "x", ownerID: owner, at: now))
                }
            }
            let seen = try await feed.read(organization, after: 0, limit: 10, visibleTo: first)
            #expect(seen.map(\.ownerID) == [first, nil])
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a waiter is woken by the commit it waits for`(engine: DatabaseEngine) async throws {
        try await withFeed(on: engine) { feed, organization, _ in
            let waiting = Task { try await feed.waitForEvent(organization, after: 1) }
            _ = try await set("a", in: feed, organization)
            _ = try await set("b", in: feed, organization)
            try await waiting.value
            let endless = Task { try await feed.waitForEvent(organization, after: 2) }
            endless.cancel()
            await #expect(throws: CancellationError.self) { try await endless.value }
        }
    }
}
