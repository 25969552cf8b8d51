import Base
import Database
import DatabasePostgres
import TestSupport
import Testing

/// What is particular to the engine of PostgreSQL.
@Suite struct PostgresDatabaseTests {
    private func withItems(
        configure: (inout PostgresConfiguration) -> Void = { _ in },
        _ body: (PostgresDatabase) async throws -> Void
    ) async throws {
        try await withPostgres(configure: configure) { database in
            try await database.write { try $0.executeScript("CREATE TABLE items (id TEXT PRIMARY KEY, n BIGINT)") }
            try await body(database)
        }
    }

    private func increment(_ id: String, in database: any SQLDatabase) async throws {
        try await database.write { try $0.run("UPDATE items SET n = n + 1 WHERE id = $1", id) }
    }

    @Test func `a cancelled read stops on the server and leaves the connection good`() async throws {
        try await withItems { database in
            let reading = Task { try await database.read { try $0.rows("SELECT pg_sleep(60)").count } }
            let deadline = SystemTime().uptime + .seconds(30)
            let running: SQL = """
                SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'
                    AND pid <> pg_backend_pid() AND datname = current_database()
                """
            while try await database.read({ try $0.rows(running).isEmpty }) {
                try #require(SystemTime().uptime < deadline)
            }
            reading.cancel()
            await #expect(throws: CancellationError.self) { try await reading.value }
            while try await !database.read({ try $0.rows(running).isEmpty }) {
                try #require(SystemTime().uptime < deadline)
            }
        }
    }

    @Test func `a read over its limit is timed out by name`() async throws {
        try await withItems(configure: { $0.readLimit = .milliseconds(200) }) { database in
            let error = await #expect(throws: BerthError.self) {
                _ = try await database.read { try $0.rows("SELECT pg_sleep(60)").count }
            }
            #expect(error?.code == .timedOut)
            let one = try await database.read { try $0.first("SELECT 1 AS one")?.int("one") }
            #expect(one == 1)
        }
    }

    @Test func `two servers that lock the same rows in opposite orders both come through`() async throws {
        let cluster = try await PostgresCluster.shared()
        try await cluster.withDatabase(migrated: false) { name in
            let configuration = try PostgresConfiguration(url: cluster.url(name))
            let databases = try (0..<2).map { _ in try PostgresDatabase(configuration, time: SystemTime()) }
            try await databases[0].write { connection in
                try connection.executeScript("CREATE TABLE items (id TEXT PRIMARY KEY, n BIGINT)")
                try connection.run("INSERT INTO items VALUES ('a', 0), ('b', 0)")
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (database, order) in zip(databases, [["a", "b"], ["b", "a"]]) {
                    for _ in 0..<40 {
                        group.addTask {
                            try await database.write { connection in
                                for id in order {
                                    try connection.run("UPDATE items SET n = n + 1 WHERE id = $1", id)
                                }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            let counts = try await databases[0].read { try $0.rows("SELECT n FROM items").map { try $0.int("n") } }
            #expect(counts == [80, 80])
            for database in databases { await database.close() }
        }
    }

    @Test func `a posted statement that fails undoes its own transaction alone`() async throws {
        try await withItems { database in
            try await database.write { try $0.run("INSERT INTO items VALUES ('taken', 0)") }
            let failures = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<60 {
                    group.addTask {
                        do {
                            try await database.write { connection in
                                try connection.run("UPDATE items SET n = n + 1 WHERE id = 'taken'")
                                let id = number.isMultiple(of: 5) ? "taken" : "item-\(number)"
                                try connection.post("INSERT INTO items VALUES ($1, 0)", id)
                            }
                            return false
                        } catch let error as BerthError where error.code == .conflict {
                            return true
                        }
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(failures == 12)
            let (count, sum) = try await database.read {
                (
                    try $0.first("SELECT COUNT(*) AS count FROM items")?.int("count"),
                    try $0.first("SELECT n FROM items WHERE id = 'taken'")?.int("n")
                )
            }
            #expect(count == 49)
            #expect(sum == 48)
        }
    }

    @Test func `more statements than are kept prepared still run`() async throws {
        try await withItems(configure: { $0.statements = 16 }) { database in
            for number in 0..<100 {
                let sum = try await database.read {
                    try $0.first(SQL(trusted: "SELECT $1 + \(number) AS sum"), 1)?.int("sum")
                }
                #expect(sum == number + 1)
            }
        }
    }

    @Test func `a prepared statement survives a change of its table`() async throws {
        try await withItems { database in
            let all: SQL = "SELECT * FROM items"
            try await database.write { try $0.run("INSERT INTO items VALUES ('a', 1)") }
            _ = try await database.read { try $0.rows(all).count }
            try await database.write { try $0.executeScript("ALTER TABLE items ADD COLUMN more BIGINT DEFAULT 5") }
            let more = try await database.read { try $0.first(all)?.int("more") }
            #expect(more == 5)
        }
    }

    @Test func `sums beyond 64 bits are refused, smaller ones are integers`() async throws {
        try await withItems { database in
            let sum: SQL = "SELECT SUM(n) AS sum FROM items"
            for n in [Int64(9_999), -20_000, 1_234_567_890_123] {
                try await database.write { try $0.run("INSERT INTO items VALUES ($1, $2)", "\(n)", n) }
            }
            let small = try await database.read { try $0.first(sum)?.integer("sum") }
            #expect(small == 1_234_567_880_122)
            for id in ["x", "y"] {
                try await database.write { try $0.run("INSERT INTO items VALUES ($1, $2)", id, Int64.max) }
            }
            await #expect(throws: BerthError.self) { _ = try await database.read { try $0.first(sum) } }
        }
    }
}
