import Base
import Database
import Synchronization
import TestSupport
import Testing

@Suite struct RowQueryTests {
    private static let query = RowQuery<Int64>("SELECT n FROM numbers WHERE name = $1") { try $0.integer("n") }

    private func withNumbers(
        finders: Int = 4,
        _ body: (SQLiteDatabase) async throws -> Void
    ) async throws {
        try await withEmptyDatabase(configure: { $0.finders = finders }) { database in
            try await database.write { connection in
                try connection.executeScript("CREATE TABLE numbers (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT")
                try connection.run("INSERT INTO numbers (name, n) VALUES ($1, 0)", "a")
            }
            try await body(database)
        }
    }

    @Test(arguments: [0, 1, 4])
    func `every commit is seen by the next question, with and without connections for it`(finders: Int) async throws {
        try await withNumbers(finders: finders) { database in
            #expect(try await database.find(Self.query, "nobody") == nil)
            for number in 1...200 {
                try await database.write { try $0.run("UPDATE numbers SET n = $1 WHERE name = 'a'", number) }
                for _ in 0..<3 { #expect(try await database.find(Self.query, "a") == Int64(number)) }
            }
            try await database.write { try $0.run("INSERT INTO numbers (name, n) VALUES ('nobody', 7)") }
            #expect(try await database.find(Self.query, "nobody") == 7)
            try await database.write { try $0.run("DELETE FROM numbers WHERE name = 'nobody'") }
            #expect(try await database.find(Self.query, "nobody") == nil)
        }
    }

    @Test func `many that ask while one writes never see a number fall, nor one that was not committed`() async throws {
        try await withNumbers { database in
            let progress = Progress()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<3 {
                    group.addTask {
                        var last: Int64 = 0
                        while !progress.isDone.load(ordering: .acquiring) {
                            let before = progress.committed.load(ordering: .acquiring)
                            let seen = try await database.find(Self.query, "a") ?? -1
                            try #require(seen >= before && seen >= last, "saw \(seen) after \(max(before, last))")
                            last = seen
                            // An answer may come without a wait, and the writer needs the thread too.
                            await Task.yield()
                        }
                    }
                }
                for number in Int64(1)...200 {
                    try await database.write { try $0.run("UPDATE numbers SET n = $1 WHERE name = 'a'", number) }
                    progress.committed.store(number, ordering: .releasing)
                    // A transaction that fails changes nothing for anyone.
                    try? await database.write { connection in
                        try connection.run("UPDATE numbers SET n = -1 WHERE name = 'a'")
                        throw BerthError(.conflict, "rolled back")
                    }
                }
                progress.isDone.store(true, ordering: .releasing)
                try await group.waitForAll()
            }
        }
    }

    private final class Progress: Sendable {
        let committed = Atomic<Int64>(0)
        let isDone = Atomic<Bool>(false)
    }

    @Test func `a question may be asked more often than a runaway statement may take steps`() async throws {
        try await withNumbers { database in
            for number in 0..<1000 {
                try await database.write { try $0.run("UPDATE numbers SET n = $1 WHERE name = 'a'", number) }
                #expect(try await database.find(Self.query, "a") == Int64(number))
            }
        }
    }

    @Test func `a question that changes something is refused`() async throws {
        try await withNumbers { database in
            let bad = RowQuery<Int64>("UPDATE numbers SET n = 5 WHERE name = $1 RETURNING n") { try $0.integer("n") }
            await #expect(throws: BerthError.self) { try await database.find(bad, "a") }
            let value = try await database.find(Self.query, "a")
            #expect(value == 0)
        }
    }

    @Test func `after the end there is no answer, not an old one`() async throws {
        try await withNumbers { database in
            let value = try await database.find(Self.query, "a")
            #expect(value == 0)
            await database.close()
            await #expect(throws: BerthError.self) { try await database.find(Self.query, "a") }
        }
    }
}
