import Base
import Database
import Testing

/// How values travel: the same on every engine.
@Suite struct DatabaseValueContract {
    @Test(arguments: DatabaseUnderTest.all)
    func `a written row is read back with its types`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            let blob = (0..<70_000).map { UInt8(truncatingIfNeeded: $0) }
            try await database.write {
                try $0.run("INSERT INTO items VALUES ($1, $2, $3, $4, $5)", "ä\"x'\n", Int64.min, -0.5, "🙂", blob)
            }
            let row = try await database.read { try $0.first("SELECT id, n, r, t, x FROM items") }
            let found = try #require(row)
            let (id, n, r) = (try found.text("id"), try found.integer("n"), try found.real("r"))
            let (t, x) = (try found.text("t"), try found.blob("x"))
            #expect(id == "ä\"x'\n")
            #expect(n == .min)
            #expect(r == -0.5)
            #expect(t == "🙂")
            #expect(x == blob)
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `null, the empty text and the empty blob are three things`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            try await database.write { connection in
                try connection.run("INSERT INTO items (id, t, x) VALUES ('a', $1, $2)", nil, nil)
                try connection.run("INSERT INTO items (id, t, x) VALUES ('b', $1, $2)", "", [] as [UInt8])
            }
            let rows = try await database.read { try $0.rows("SELECT t, x FROM items ORDER BY id") }
            let texts = try rows.map { try $0.optionalText("t") }
            let blobs = try rows.map { try $0.optionalBlob("x") }
            #expect(texts == [nil, ""])
            #expect(blobs == [nil, []])
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `placeholders bind by their number, not by their place`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            try await database.write { connection in
                try connection.run("INSERT INTO items (t, n, id) VALUES ($3, $2, $1)", "id", 2, "text")
                try connection.run("UPDATE items SET t = $1 WHERE id = $2 AND n = $3 AND id = $2", "new", "id", 2)
            }
            let row = try await database.read {
                try $0.first("SELECT id, n, t FROM items WHERE n = $2 AND id = $1", "id", 2)
            }
            let text = try row?.text("t")
            #expect(text == "new")
        }
    }

    @Test(
        arguments: DatabaseUnderTest.all,
        ["?1", "?", ":a", "@a", "$a", "$2", "$01", "$0", "$1::text"]
    )
    func `other placeholders are refused when prepared`(engine: DatabaseUnderTest, placeholder: String) async throws {
        try await engine.open { database in
            let error = await #expect(throws: BerthError.self) {
                try await database.check([SQL(trusted: "SELECT \(placeholder)")])
            }
            #expect(error?.code == .internal)
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `too few and too many values are refused`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            for values in [[], ["a", "b"]] {
                await #expect(throws: BerthError.self) {
                    try await database.write {
                        try $0.execute("INSERT INTO items (id) VALUES ($1)", values.map(SQLValue.text))
                    }
                }
            }
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `text with NUL is refused at the door`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            let error = await #expect(throws: BerthError.self) { try await database.insertItem("a\0b") }
            #expect(error?.code == .invalidValue)
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `a column of another type is a typed error that names it`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            try await database.insertItem("a", n: 1)
            let row = try await database.read { try $0.first("SELECT id, n, t FROM items") }
            for wrong in [{ _ = try row?.text("n") }, { _ = try row?.text("t") }, { _ = try row?.text("nosuch") }] {
                let error = #expect(throws: BerthError.self) { try wrong() }
                #expect(error?.code == .internal)
                #expect(error?.detail?.hasPrefix("column") == true)
            }
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `a conditional update tells what it changed`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            try await database.insertItem("a", n: 3)
            let take: SQL = "UPDATE items SET n = n - 1 WHERE id = $1 AND n > 0 RETURNING n"
            var left: [Int?] = []
            for _ in 0..<5 { left.append(try await database.write { try $0.first(take, "a")?.int("n") }) }
            #expect(left == [2, 1, 0, nil, nil])
            let (one, none) = try await database.write {
                (try $0.run("DELETE FROM items WHERE id = 'a'"), try $0.run("DELETE FROM items WHERE id = 'a'"))
            }
            #expect((one, none) == (1, 0))
        }
    }
}
