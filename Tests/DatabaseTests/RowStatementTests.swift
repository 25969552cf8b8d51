import Base
import Database
import TestSupport
import Testing

/// Rows that many transactions post at once, which an engine may change with one statement.
@Suite struct RowStatementTests {
    private static let insert = RowStatement(
        inserting: "INSERT INTO settings (name, value, updated_at) VALUES ($1, $2, $3)"
    )
    private static let change = RowStatement(
        updating: """
            UPDATE settings SET value = $2, updated_at = updated_at + 1
            WHERE name = $1 AND updated_at = $3
            """,
        [.text, .text, .integer]
    )
    private static let value: SQL = "SELECT value, updated_at FROM settings WHERE name = $1"

    private func write(
        _ count: Int,
        in database: any SQLDatabase,
        _ body: @escaping @Sendable (Int, any SQLConnection) throws -> Void
    ) async -> [Int: any Error] {
        await withTaskGroup(of: (Int, (any Error)?).self) { group in
            for number in 0..<count {
                group.addTask {
                    do {
                        try await database.write { try body(number, $0) }
                        return (number, nil)
                    } catch {
                        return (number, error)
                    }
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    private func insertAll(_ count: Int, in database: any SQLDatabase) async {
        let failures = await write(count, in: database) { number, connection in
            try connection.post(
                Self.insert,
                [.text("s\(number)"), .text("v\(number)"), .integer(Int64(number))],
                orThrow: nil
            )
        }
        #expect(failures.isEmpty)
    }

    @Test func `many rows do to each what one does`() {
        let many = Self.change.statements
        #expect(many.count == 4)
        #expect(many.last == Self.change.one)
        #expect(
            many[2].text == """
                UPDATE settings SET value = r.column2, updated_at = updated_at + 1
                FROM (VALUES (CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT)), \
                (CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT)), \
                (CAST($7 AS TEXT), CAST($8 AS TEXT), CAST($9 AS BIGINT)), \
                (CAST($10 AS TEXT), CAST($11 AS TEXT), CAST($12 AS BIGINT))) AS r
                WHERE name = r.column1 AND updated_at = r.column3
                """
        )
        #expect(
            Self.insert.statements[2].text == """
                INSERT INTO settings (name, value, updated_at) \
                VALUES ($1, $2, $3), ($4, $5, $6), ($7, $8, $9), ($10, $11, $12)
                """
        )
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `each row gets its own values, whatever shares its statement`(engine: DatabaseEngine) async throws {
        try await withDatabase(on: engine) { database in
            try await database.check(Self.insert.statements + Self.change.statements)
            await insertAll(150, in: database)
            let failures = await write(150, in: database) { number, connection in
                let values: [SQLValue] = [.text("s\(number)"), .text("w\(number)"), .integer(Int64(number))]
                try connection.post(Self.change, values, orThrow: MovedRow("s\(number)"))
            }
            #expect(failures.isEmpty)
            try await database.read { connection in
                for number in 0..<150 {
                    let row = try connection.first(Self.value, "s\(number)")
                    #expect(try row?.text("value") == "w\(number)")
                    #expect(try row?.int("updated_at") == number + 1)
                }
            }
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a row that has moved fails its own transaction and no other`(engine: DatabaseEngine) async throws {
        try await withDatabase(on: engine) { database in
            await insertAll(90, in: database)
            let failures = await write(90, in: database) { number, connection in
                let version = number.isMultiple(of: 9) ? -1 : number
                let values: [SQLValue] = [.text("s\(number)"), .text("w"), .integer(Int64(version))]
                try connection.post(Self.change, values, orThrow: MovedRow("s\(number)"))
            }
            #expect(failures.keys.sorted() == Array(stride(from: 0, to: 90, by: 9)))
            #expect(failures.values.allSatisfy { $0 is MovedRow })
            let changed = try await database.read { try $0.rows("SELECT name FROM settings WHERE value = 'w'").count }
            #expect(changed == 80)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `of two that change one row one is refused`(engine: DatabaseEngine) async throws {
        try await withDatabase(on: engine) { database in
            await insertAll(10, in: database)
            let failures = await write(40, in: database) { number, connection in
                let values: [SQLValue] = [.text("s\(number % 10)"), .text("w"), .integer(Int64(number % 10))]
                try connection.post(Self.change, values, orThrow: MovedRow("s\(number % 10)"))
            }
            #expect(failures.count == 30)
            #expect(failures.values.allSatisfy { $0 is MovedRow })
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `an insert that conflicts, a text with a NUL and a closure that throws fail alone`(engine: DatabaseEngine)
        async throws
    {
        struct Regret: Error {}
        try await withDatabase(on: engine) { database in
            await insertAll(4, in: database)
            let failures = await write(60, in: database) { number, connection in
                let name = [3: "s1", 7: "a\0b"][number] ?? "t\(number)"
                try connection.post(Self.insert, [.text(name), .text("x"), .integer(1)], orThrow: nil)
                if number == 11 { throw Regret() }
            }
            #expect(failures.keys.sorted() == [3, 7, 11])
            #expect((failures[3] as? BerthError)?.code == .conflict)
            #expect(failures[11] is Regret)
            let rows = try await database.read { try $0.rows("SELECT name FROM settings").count }
            #expect(rows == 61)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `what a transaction asks sees the rows that it posted before`(engine: DatabaseEngine) async throws {
        try await withDatabase(on: engine) { database in
            let failures = await write(50, in: database) { number, connection in
                try connection.post(Self.insert, [.text("s\(number)"), .text("x"), .integer(1)], orThrow: nil)
                let values: [SQLValue] = [.text("s\(number)"), .text("y"), .integer(1)]
                try connection.post(Self.change, values, orThrow: MovedRow("s\(number)"))
                guard try connection.first(Self.value, "s\(number)")?.text("value") == "y" else {
                    throw BerthError(.internal, "not seen")
                }
                try connection.post("UPDATE settings SET value = 'z' WHERE name = $1", "s\(number)")
            }
            #expect(failures.isEmpty)
            let rows = try await database.read { try $0.rows("SELECT name FROM settings WHERE value = 'z'").count }
            #expect(rows == 50)
        }
    }
}
