import Base
import Database
import Synchronization
import TestSupport
import Testing

@Suite struct SQLiteDatabaseTests {
    private static let table = "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n INTEGER, x BLOB) STRICT"

    private func withTable(
        configure: (inout SQLiteConfiguration) -> Void = { _ in },
        _ body: (SQLiteDatabase) async throws -> Void
    ) async throws {
        try await withEmptyDatabase(configure: configure) { database in
            try await database.write { try $0.executeScript(Self.table) }
            try await body(database)
        }
    }

    @Test func `a written row is read back with its types`() async throws {
        try await withTable { database in
            let now = Timestamp(milliseconds: 1_700_000_000_123)
            try await database.write {
                try $0.run("INSERT INTO t VALUES ($1, $2, $3)", "ä\"x'", now, [0, 255] as [UInt8])
            }
            let row = try await database.read { try $0.first("SELECT id, n, x, NULL AS z FROM t") }
            #expect(try row?.text("id") == "ä\"x'")
            #expect(try row?.timestamp("n") == now)
            #expect(try row?.blob("x") == [0, 255])
            #expect(try row?.optionalText("z") == nil)
        }
    }

    @Test func `placeholders bind by their number, not by their place`() async throws {
        try await withEmptyDatabase { database in
            let row = try await database.read { try $0.first("SELECT $2 AS b, $1 AS a, $2 AS c", "one", "two") }
            #expect(try row?.text("a") == "one")
            #expect(try row?.text("b") == "two")
            #expect(try row?.text("c") == "two")
        }
    }

    @Test(arguments: [
        "SELECT ?1", "SELECT :a", "SELECT @a", "SELECT $a", "SELECT $2", "SELECT $01", "SELECT $1::text", "SELECT ?",
    ])
    func `other placeholders are refused when prepared`(text: String) async throws {
        try await withEmptyDatabase { database in
            let error = await #expect(throws: BerthError.self) { try await database.check([SQL(trusted: text)]) }
            #expect(error?.detail?.contains(text) == true)
        }
    }

    @Test func `empty text is not null, and text with NUL is refused at the door`() async throws {
        try await withTable { database in
            try await database.write { try $0.run("INSERT INTO t VALUES ($1, 1, $2)", "", [] as [UInt8]) }
            let row = try await database.read { try $0.first("SELECT id, x FROM t") }
            #expect(try row?.text("id") == "")
            #expect(try row?.blob("x") == [])
            let error = await #expect(throws: BerthError.self) {
                try await database.write { try $0.run("INSERT INTO t (id) VALUES ($1)", "a\0b") }
            }
            #expect(error?.code == .invalidValue)
        }
    }

    @Test func `double quotes never mean text`() async throws {
        try await withEmptyDatabase { database in
            await #expect(throws: BerthError.self) { try await database.check(["SELECT \"nosuch\""]) }
        }
    }

    @Test func `a unique violation is a conflict`() async throws {
        try await withTable { database in
            let error = await #expect(throws: BerthError.self) {
                try await database.write { connection in
                    try connection.run("INSERT INTO t (id) VALUES ('a')")
                    try connection.run("INSERT INTO t (id) VALUES ('a')")
                }
            }
            #expect(error?.code == .conflict)
            try await expectRows(0, in: database)
        }
    }

    @Test func `a failed statement ends its transaction even when the closure swallows it`() async throws {
        try await withTable { database in
            let error = await #expect(throws: BerthError.self) {
                try await database.write { connection in
                    try connection.run("INSERT INTO t (id) VALUES ('a')")
                    _ = try? connection.run("INSERT INTO t (id) VALUES ('a')")
                }
            }
            #expect(error?.code == .conflict)
            try await expectRows(0, in: database)
        }
    }

    @Test func `a read cannot write`() async throws {
        for readers in [0, 2] {
            try await withTable(configure: { $0.readers = readers }) { database in
                await #expect(throws: BerthError.self) {
                    try await database.read { try $0.run("INSERT INTO t (id) VALUES ('a')") }
                }
                try await expectRows(0, in: database)
            }
        }
    }

    @Test func `grouped transactions fail alone`() async throws {
        try await withTable { database in
            let outcomes = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        do {
                            try await database.write { connection in
                                try connection.run("INSERT INTO t (id, n) VALUES ($1, $2)", "k\(number)", number)
                                if number.isMultiple(of: 3) { throw BerthError(.conflict, "on purpose") }
                            }
                            return true
                        } catch {
                            return false
                        }
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(outcomes == 133)
            try await expectRows(133, in: database)
            let wrong = try await database.read { try $0.rows("SELECT id FROM t WHERE n % 3 = 0") }
            #expect(wrong.isEmpty)
        }
    }

    @Test func `a read sees one snapshot`() async throws {
        try await withTable { database in
            let gate = Gate()
            async let counts = database.read { connection -> [Int64] in
                let first = try connection.first("SELECT count(*) AS n FROM t")?.integer("n") ?? -1
                gate.open()
                gate.waitUntilPassed()
                return [first, try connection.first("SELECT count(*) AS n FROM t")?.integer("n") ?? -1]
            }
            await gate.opened()
            try await database.write { try $0.run("INSERT INTO t (id) VALUES ('a')") }
            gate.pass()
            #expect(try await counts == [0, 0])
            try await expectRows(1, in: database)
        }
    }

    @Test func `cancelling stops a running read`() async throws {
        try await withTable(configure: { $0.readLimit = .seconds(60) }) { database in
            let gate = Gate()
            let reading = Task {
                try await database.read { connection in
                    gate.open()
                    return try connection.rows(Self.endless).count
                }
            }
            await gate.opened()
            reading.cancel()
            await #expect(throws: CancellationError.self) { try await reading.value }
        }
    }

    @Test func `a read over its limit ends by name`() async throws {
        try await withTable(configure: { $0.readLimit = .milliseconds(30) }) { database in
            let error = await #expect(throws: BerthError.self) {
                try await database.read { try $0.rows(Self.endless).count }
            }
            #expect(error?.code == .timedOut)
        }
    }

    @Test func `a closed database refuses by name`() async throws {
        try await withTable { database in
            await database.close()
            let error = await #expect(throws: BerthError.self) { _ = try await count(database) }
            #expect(error?.code == .unavailable)
        }
    }

    @Test func `a full disk is told and does not stop the engine`() async throws {
        try await withTable { database in
            try await database.write { try $0.run("INSERT INTO t (id) VALUES ('a')") }
            // The page limit gives the same SQLITE_FULL as a full disk.
            try await database.write { try $0.executeScript("PRAGMA max_page_count = 1") }
            let error = await #expect(throws: BerthError.self) {
                try await database.write {
                    try $0.run("INSERT INTO t (id, x) VALUES ('b', $1)", [UInt8](repeating: 1, count: 100_000))
                }
            }
            #expect(error?.code == .diskFull)
            try await database.write { try $0.executeScript("PRAGMA max_page_count = 100000") }
            try await database.write { try $0.run("INSERT INTO t (id) VALUES ('c')") }
            try await expectRows(2, in: database)
        }
    }

    private static let endless: SQL = """
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n
        """

    private func count(_ database: SQLiteDatabase) async throws -> Int64? {
        try await database.read { try $0.first("SELECT count(*) AS n FROM t")?.integer("n") }
    }

    private func expectRows(_ expected: Int64, in database: SQLiteDatabase) async throws {
        let found = try await count(database)
        #expect(found == expected)
    }
}
