import Base
import Database
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// What is particular to the embedded engine; the rest is the contract suite's.
@Suite struct SQLiteDatabaseTests {
    private func withTable(
        configure: (inout SQLiteConfiguration) -> Void = { _ in },
        _ body: (SQLiteDatabase) async throws -> Void
    ) async throws {
        try await withEmptyDatabase(configure: configure) { database in
            try await database.write { try $0.executeScript(Self.table) }
            try await body(database)
        }
    }

    private static let table = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n INTEGER, x BLOB) STRICT"
    private static let endless: SQL = """
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n
        """

    @Test func `double quotes never mean text`() async throws {
        try await withEmptyDatabase { database in
            await #expect(throws: BerthError.self) { try await database.check(["SELECT \"nosuch\""]) }
        }
    }

    @Test func `a read sees one snapshot`() async throws {
        try await withTable { database in
            let gate = ThreadGate()
            async let counts = database.read { connection -> [Int64] in
                let first = try connection.first("SELECT count(*) AS n FROM t")?.integer("n") ?? -1
                gate.open()
                gate.waitUntilPassed()
                return [first, try connection.first("SELECT count(*) AS n FROM t")?.integer("n") ?? -1]
            }
            await gate.opened()
            try await insert("a", database)
            gate.pass()
            let seen = try await counts
            #expect(seen == [0, 0])
            try await expectRows(["a"], in: database)
        }
    }

    @Test(arguments: [0, 1])
    func `cancelling stops a running read`(readers: Int) async throws {
        try await withTable(configure: { ($0.readers, $0.readLimit) = (readers, .seconds(60)) }) { database in
            let gate = ThreadGate()
            let reading = Task {
                try await database.read { connection in
                    gate.open()
                    return try connection.rows(Self.endless).count
                }
            }
            await gate.opened()
            reading.cancel()
            await #expect(throws: CancellationError.self) { try await reading.value }
            try await insert("a", database)
        }
    }

    @Test(arguments: [0, 1])
    func `a read over its limit ends by name`(readers: Int) async throws {
        try await withTable(configure: { ($0.readers, $0.readLimit) = (readers, .milliseconds(30)) }) { database in
            let error = await #expect(throws: BerthError.self) {
                try await database.read { try $0.rows(Self.endless).count }
            }
            #expect(error?.code == .timedOut)
            try await insert("a", database)
        }
    }

    @Test func `a full disk is told, and its neighbours and the engine live on`() async throws {
        try await withTable { database in
            let gate = ThreadGate()
            // The page limit gives the same SQLITE_FULL as a full disk.
            try await database.write { try $0.executeScript("PRAGMA max_page_count = 8") }
            async let holding: Void = database.write { _ in
                gate.open()
                gate.waitUntilPassed()
            }
            await gate.opened()
            // Queued together, so that they share one commit.
            async let small: Void = insert("small", database)
            let large = Task { try await insert("large", database, bytes: 100_000) }
            async let other: Void = insert("other", database)
            gate.pass()
            try await holding
            try await small
            let error = await #expect(throws: BerthError.self) { try await large.value }
            try await other
            #expect(error?.code == .diskFull)
            try await database.write { try $0.executeScript("PRAGMA max_page_count = 100000") }
            try await insert("later", database, bytes: 100_000)
            try await expectRows(["later", "other", "small"], in: database)
        }
    }

    @Test(.enabled(if: geteuid() == 0, "mounts a small file system"))
    func `a really full disk loses nothing that was answered`() async throws {
        let directory = try TemporaryDirectory("full")
        guard mount("tmpfs", directory.path, "tmpfs", 0, "size=1m") == 0 else { return }
        defer { umount2(directory.path, 2) }
        let path = directory.file("berth.sqlite")
        let database = try SQLiteDatabase(SQLiteConfiguration(path: path), time: SystemTime())
        try await database.write { try $0.executeScript(Self.table) }
        var answered: [String] = []
        var refusal: BerthError?
        for number in 100..<400 where refusal == nil {
            do {
                try await insert("k\(number)", database, bytes: 10_000)
                answered.append("k\(number)")
            } catch let error as BerthError {
                refusal = error
            }
        }
        #expect(refusal?.code == .diskFull)
        #expect(answered.count > 10)
        try await expectRows(answered, in: database)
        #expect(mount("tmpfs", directory.path, "tmpfs", UInt(MS_REMOUNT), "size=8m") == 0)
        try await insert("z", database)
        try await expectRows(answered + ["z"], in: database)
        await database.close()
    }

    @Test func `a copy taken at any moment after the answer holds what was answered`() async throws {
        let directory = try TemporaryDirectory("crash")
        let path = directory.file("berth.sqlite")
        let database = try SQLiteDatabase(SQLiteConfiguration(path: path), time: SystemTime())
        try await database.write { try $0.executeScript(Self.table) }
        var answered: [String] = []
        for round in 0..<5 {
            let names = (0..<40).map { "k\(round)-\($0 + 10)" }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for name in names { group.addTask { try await insert(name, database, bytes: 500) } }
                try await group.waitForAll()
            }
            answered += names
            // What a killed process leaves: the file and its log, not closed.
            for suffix in ["", "-wal"] {
                try FileManager.default.copyItem(atPath: path + suffix, toPath: "\(path)-\(round)\(suffix)")
            }
            let copy = try SQLiteDatabase(SQLiteConfiguration(path: "\(path)-\(round)"), time: SystemTime())
            try await expectRows(answered.sorted(), in: copy)
            await copy.close()
        }
        await database.close()
    }

    @Test func `another program's lock is waited for, then told`() async throws {
        try await withEmptyDatabase(configure: { $0.busyLimit = .milliseconds(20) }) { database in
            try await database.write { try $0.executeScript(Self.table) }
            let path = try await database.read { try $0.first("SELECT file FROM pragma_database_list")?.text("file") }
            let second = try SQLiteDatabase(SQLiteConfiguration(path: try #require(path)), time: SystemTime())
            let gate = ThreadGate()
            async let holding: Void = second.write { connection in
                gate.open()
                gate.waitUntilPassed()
                try connection.run("INSERT INTO t (id) VALUES ('second')")
            }
            await gate.opened()
            let error = await #expect(throws: BerthError.self) { try await insert("first", database) }
            #expect(error?.code == .unavailable)
            #expect(error?.isRetryable == true)
            gate.pass()
            try await holding
            try await insert("first", database)
            try await expectRows(["first", "second"], in: database)
            await second.close()
        }
    }

    @Test func `the files are private`() async throws {
        let directory = try TemporaryDirectory("private")
        let path = directory.file("berth.sqlite")
        let database = try SQLiteDatabase(SQLiteConfiguration(path: path), time: SystemTime())
        try await database.write { try $0.executeScript(Self.table) }
        for suffix in ["", "-wal", "-shm"] {
            var status = stat()
            #expect(stat(path + suffix, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
        await database.close()
    }

    @Test func `a missing directory and a foreign file are told with the path`() throws {
        let directory = try TemporaryDirectory("bad")
        let missing = #expect(throws: BerthError.self) {
            try SQLiteDatabase(SQLiteConfiguration(path: directory.file("no/such")), time: SystemTime())
        }
        #expect(missing?.code == .unavailable)
        #expect(missing?.message.contains("no/such") == true)
        let foreign = try directory.write(String(repeating: "not a database. ", count: 100), to: "x")
        let damaged = #expect(throws: BerthError.self) {
            try SQLiteDatabase(SQLiteConfiguration(path: foreign), time: SystemTime())
        }
        #expect(damaged?.message.contains("damaged") == true)
    }

    @Test func `a database that is let go of ends its threads and closes its file`() async throws {
        let directory = try TemporaryDirectory("dropped")
        let path = directory.file("berth.sqlite")
        do {
            let database = try SQLiteDatabase(SQLiteConfiguration(path: path), time: SystemTime())
            try await database.write { try $0.executeScript(Self.table) }
            try await insert("a", database)
        }
        let again = try SQLiteDatabase(SQLiteConfiguration(path: path), time: SystemTime())
        try await expectRows(["a"], in: again)
        await again.close()
    }

    private func insert(_ id: String, _ database: SQLiteDatabase, bytes: Int = 0) async throws {
        let blob = [UInt8](repeating: 1, count: bytes)
        try await database.write { try $0.run("INSERT INTO t (id, x) VALUES ($1, $2)", id, blob) }
    }

    private func expectRows(_ expected: [String], in database: SQLiteDatabase) async throws {
        let found = try await database.read { try $0.rows("SELECT id FROM t ORDER BY id").map { try $0.text("id") } }
        #expect(found == expected)
    }
}
