import Base
import Database
import DatabasePostgres
import Synchronization
import TestSupport
import Testing

/// What becomes of transactions when the server dies, hangs, or is lost in the middle of a COMMIT.
@Suite struct PostgresFailureTests {
    private static let table = "CREATE TABLE items (id TEXT COLLATE \"C\" NOT NULL PRIMARY KEY, n BIGINT)"

    /// A server whose log is flushed at every commit, with a database that has a table.
    private func withCluster(
        _ body: (PostgresCluster, PostgresConfiguration) async throws -> Void
    ) async throws {
        let cluster = try await PostgresCluster(["fsync=on", "log_min_messages=fatal"])
        try await cluster.psql("CREATE DATABASE berth")
        try await cluster.psql(Self.table, database: "berth")
        try await body(cluster, try PostgresConfiguration(url: cluster.url("berth")))
        withExtendedLifetime(cluster) {}
    }

    private func ids(_ database: PostgresDatabase) async throws -> [String] {
        try await database.read { try $0.rows("SELECT id FROM items ORDER BY id").map { try $0.text("id") } }
    }

    private func insert(_ id: String, _ database: PostgresDatabase) async throws {
        try await database.write { try $0.run("INSERT INTO items (id, n) VALUES ($1, 0)", id) }
    }

    /// Repeats until the server is back.
    private func whenUp<Value>(_ body: () async throws -> Value) async throws -> Value {
        let deadline = SystemTime().uptime + .seconds(30)
        while true {
            do { return try await body() } catch let error as BerthError where error.code == .unavailable {
                guard SystemTime().uptime < deadline else { throw error }
                try await SystemTime().wait(for: .milliseconds(20))
            }
        }
    }

    @Test
    func `kill -9 of the server in the middle of writes loses nothing that was confirmed and keeps nothing refused`()
        async throws
    {
        try await withCluster { cluster, configuration in
            var configuration = configuration
            // Also where a busy machine takes long to start the server: else nobody could tell what became of a COMMIT.
            configuration.settleLimit = .seconds(60)
            let database = try PostgresDatabase(configuration, time: SystemTime())
            let organizations: [OrganizationID] = (0..<4).map { _ in
                IDSource(time: SystemTime(), randomness: SystemRandomness()).make()
            }
            let isOver = Flag()
            let written = Written()
            let (confirmed, refused) = try await withThrowingTaskGroup(of: ([String], [String]).self) { group in
                for writer in 0..<16 {
                    let organization = organizations[writer % organizations.count]
                    group.addTask {
                        var (confirmed, refused): ([String], [String]) = ([], [])
                        var number = 0
                        while !isOver.isRaised {
                            let id = "w\(writer)-\(number)"
                            number += 1
                            do {
                                try await database.write(of: organization) { connection in
                                    try connection.run("INSERT INTO items (id, n) VALUES ($1, 0)", id)
                                    try connection.run("UPDATE items SET n = n + 1 WHERE id = $1", id)
                                }
                                confirmed.append(id)
                                written.count()
                            } catch let error as BerthError {
                                #expect(error.code == .unavailable)
                                #expect(error.isRetryable)
                                refused.append(id)
                                try await SystemTime().wait(for: .milliseconds(5))
                            }
                        }
                        return (confirmed, refused)
                    }
                }
                for round in 1...5 {
                    // In full flow again before the next blow.
                    try await written.reach(round * 30)
                    try await cluster.kill()
                    try await cluster.start()
                }
                isOver.raise()
                return try await group.reduce(into: ([String](), [String]())) {
                    $0.0 += $1.0
                    $0.1 += $1.1
                }
            }
            let found = try await whenUp { try await ids(database) }.filter { $0.hasPrefix("w") }
            #expect(found == confirmed.sorted())
            #expect(Set(found).isDisjoint(with: refused))
            #expect(confirmed.count > 100)
            let halves = try await database.read { try $0.rows("SELECT id FROM items WHERE n <> 1 AND id LIKE 'w%'") }
            #expect(halves.isEmpty)
            await database.close()
        }
    }

    @Test(arguments: ["cut", "cut before"])
    func `a COMMIT that was cut off is settled: made once, and confirmed`(moment: String) async throws {
        try await withCluster { cluster, configuration in
            let cutter = try ChildProcess([
                "python3", ScriptedPeer.path("commit_cutter.py"), cluster.directory.file(".s.PGSQL.5432"),
            ])
            let port = try await cutter.line(containing: "")
            let url = Secret("postgres://berth@127.0.0.1:\(port)/berth")
            let database = try PostgresDatabase(PostgresConfiguration(url: url), time: SystemTime())
            try await insert("before", database)
            for round in 1...20 {
                cutter.send("\(moment)\n")
                try await cutter.lines(containing: "armed", atLeast: round)
                try await insert("item-\(round)", database)
                try await database.write { connection in
                    try connection.run("UPDATE items SET n = n + 1 WHERE id = $1", "item-\(round)")
                }
            }
            let wrong = try await database.read {
                try $0.rows("SELECT id FROM items WHERE id LIKE 'item-%' AND n <> 1").count
            }
            #expect(wrong == 0)
            let count = try await ids(database).count
            #expect(count == 21)
            await database.close()
            cutter.closeInput()
        }
    }

    @Test func `whoever failed in a group whose COMMIT was cut off hears of his own failure`() async throws {
        struct Regret: Error {}
        try await withCluster { cluster, configuration in
            let cutter = try ChildProcess([
                "python3", ScriptedPeer.path("commit_cutter.py"), cluster.directory.file(".s.PGSQL.5432"),
            ])
            let port = try await cutter.line(containing: "")
            let url = Secret("postgres://berth@127.0.0.1:\(port)/berth")
            let database = try PostgresDatabase(PostgresConfiguration(url: url), time: SystemTime())
            try await insert("before", database)
            for round in 1...10 {
                cutter.send("cut\n")
                try await cutter.lines(containing: "armed", atLeast: round)
                try await withThrowingDiscardingTaskGroup { group in
                    for number in 0..<30 {
                        group.addTask {
                            if number.isMultiple(of: 2) {
                                try await insert("item-\(round)-\(number)", database)
                            } else {
                                await #expect(throws: Regret.self) { try await database.write { _ in throw Regret() } }
                            }
                        }
                    }
                }
            }
            #expect(try await ids(database).count == 151)
            await database.close()
            cutter.closeInput()
        }
    }

    @Test func `a server that hangs is given up, and taken up again when it moves`() async throws {
        try await withCluster { cluster, configuration in
            var configuration = configuration
            configuration.silenceLimit = .seconds(1)
            configuration.settleLimit = .milliseconds(500)
            configuration.connectLimit = .milliseconds(500)
            let database = try PostgresDatabase(configuration, time: SystemTime())
            try await insert("before", database)
            try await cluster.freeze()
            let write = await #expect(throws: BerthError.self) { try await insert("frozen", database) }
            #expect(write?.code == .unavailable)
            let read = await #expect(throws: BerthError.self) { _ = try await ids(database) }
            #expect(read?.code == .unavailable)
            try await cluster.thaw()
            try await whenUp { try await insert("after", database) }
            let found = try await whenUp { try await ids(database) }
            #expect(found == ["after", "before"])
            await database.close()
        }
    }

    @Test func `a server that is not there is said at once, again and again`() async throws {
        let directory = try TemporaryDirectory("nowhere")
        let url = Secret("postgres:///berth?host=\(directory.path)&user=berth")
        let database = try PostgresDatabase(PostgresConfiguration(url: url), time: SystemTime())
        let began = SystemTime().uptime
        for _ in 0..<200 {
            let error = await #expect(throws: BerthError.self) { _ = try await ids(database) }
            #expect(error?.code == .unavailable)
            #expect(error?.field == "database")
        }
        #expect(SystemTime().uptime - began < .seconds(20))
        await database.close()
    }
}

private final class Flag: Sendable {
    private let state = Mutex(false)
    var isRaised: Bool { state.withLock { $0 } }
    func raise() { state.withLock { $0 = true } }
}

/// How many writes were confirmed, and whoever waits for more.
private final class Written: Sendable {
    private let number = Mutex(0)
    private let bell = Wakeup()

    func count() {
        number.withLock { $0 += 1 }
        bell.ring()
    }

    func reach(_ wanted: Int) async throws {
        let deadline = SystemTime().uptime + .seconds(60)
        while true {
            let seen = bell.count
            let reached = number.withLock { $0 }
            guard reached < wanted else { return }
            guard SystemTime().uptime < deadline else {
                throw BerthError(.timedOut, "\(reached) of \(wanted) writes were confirmed")
            }
            try await bell.wait(after: seen, until: deadline, time: SystemTime())
        }
    }
}
