import Base
import Database
import TestSupport
import Testing

/// What a transaction promises: the same on every engine.
@Suite struct DatabaseTransactionContract {
    @Test(arguments: DatabaseUnderTest.all)
    func `a closure that throws leaves nothing behind`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            let error = await #expect(throws: BerthError.self) {
                try await database.write { connection in
                    try connection.run("INSERT INTO items (id) VALUES ('a')")
                    throw BerthError(.quotaExceeded, "on purpose")
                }
            }
            #expect(error?.code == .quotaExceeded)
            let ids = try await database.itemIDs()
            #expect(ids == [])
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `a unique violation is a conflict`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            try await database.insertItem("a")
            let error = await #expect(throws: BerthError.self) { try await database.insertItem("a") }
            #expect(error?.code == .conflict)
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `who lost a race can read what won it`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            for round in 0..<50 {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            do {
                                try await database.insertItem("item-\(round)")
                            } catch let error as BerthError where error.code == .conflict {
                                #expect(try await database.itemIDs().contains("item-\(round)"))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `a failed statement ends its transaction even when the closure swallows it`(
        engine: DatabaseUnderTest
    ) async throws {
        try await engine.withItems { database in
            let error = await #expect(throws: BerthError.self) {
                try await database.write { connection in
                    try connection.run("INSERT INTO items (id) VALUES ('a')")
                    _ = try? connection.run("INSERT INTO items (id) VALUES ('a')")
                    _ = try? connection.run("INSERT INTO items (id) VALUES ('b')")
                }
            }
            #expect(error?.code == .conflict)
            let ids = try await database.itemIDs()
            #expect(ids == [])
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `a read cannot write`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            await #expect(throws: BerthError.self) {
                try await database.read { try $0.run("INSERT INTO items (id) VALUES ('a')") }
            }
            await #expect(throws: BerthError.self) {
                try await database.read { try $0.executeScript("DELETE FROM items") }
            }
            let ids = try await database.itemIDs()
            #expect(ids == [])
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `transactions at the same time fail alone`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            let succeeded = await withTaskGroup(of: Int?.self) { group in
                for number in 0..<300 {
                    group.addTask {
                        do {
                            try await database.write { connection in
                                try connection.run("INSERT INTO items (id, n) VALUES ($1, 1)", "k\(number % 290)")
                                if number.isMultiple(of: 3) { throw BerthError(.conflict, "on purpose") }
                            }
                            return number
                        } catch {
                            return nil
                        }
                    }
                }
                return await group.reduce(into: [Int]()) { if let number = $1 { $0.append(number) } }
            }
            let ids = try await database.itemIDs()
            #expect(ids == succeeded.map { "k\($0 % 290)" }.sorted())
            #expect(succeeded.allSatisfy { !$0.isMultiple(of: 3) })
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `a counter with a limit is exact under concurrency`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            try await database.insertItem("quota", n: 50)
            let taken = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<200 {
                    group.addTask {
                        try await database.write {
                            try $0.run("UPDATE items SET n = n - 1 WHERE id = 'quota' AND n > 0") == 1
                        }
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(taken == 50)
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `what was answered is seen by the next read`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            for number in 0..<200 {
                try await database.insertItem("k\(number)")
                let found = try await database.read {
                    try $0.first("SELECT id FROM items WHERE id = $1", "k\(number)") != nil
                }
                #expect(found)
            }
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `a transaction that waits in the queue can be withdrawn`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            let gate = ThreadGate()
            async let first: Void = database.write { connection in
                gate.open()
                gate.waitUntilPassed()
                try connection.run("INSERT INTO items (id) VALUES ('first')")
            }
            await gate.opened()
            let second = Task { try await database.insertItem("second") }
            second.cancel()
            await #expect(throws: CancellationError.self) { try await second.value }
            gate.pass()
            try await first
            let ids = try await database.itemIDs()
            #expect(ids == ["first"])
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `a connection is dead after its transaction`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            let kept = Kept()
            try await database.write { kept.connection = $0 }
            #expect(throws: BerthError.self) { try kept.connection?.run("DELETE FROM items") }
        }
    }

    @Test(arguments: DatabaseUnderTest.all)
    func `a closed database refuses by name`(engine: DatabaseUnderTest) async throws {
        try await engine.withItems { database in
            await database.close()
            await database.close()
            let error = await #expect(throws: BerthError.self) { try await database.insertItem("a") }
            #expect(error?.code == .unavailable)
        }
    }
}

/// Breaks the rule that a connection stays in its closure, to show that this is harmless.
private final class Kept: @unchecked Sendable {
    var connection: (any SQLConnection)?
}
