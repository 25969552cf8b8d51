import Base
import Database
import TestSupport
import Testing

@Suite struct DatabaseStressTests {
    @Test(arguments: [0, 1, 4])
    func `every task hears exactly one answer through cancellation and close`(readers: Int) async throws {
        let randomness = SeededRandomness(seed: UInt64(readers) + 1)
        try await withEmptyDatabase(configure: { ($0.readers, $0.groupLimit) = (readers, 7) }) { database in
            try await database.write { try $0.executeScript("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY) STRICT") }
            var tasks: [(task: Task<Void, any Error>, number: Int)] = []
            for number in 0..<1500 {
                let kind = randomness.next() % 4
                let task = Task {
                    switch kind {
                    case 0: _ = try await database.read { try $0.rows("SELECT id FROM t LIMIT 10").count }
                    case 1: throw try await database.write { _ in BerthError(.conflict, "on purpose") }
                    default: try await database.write { try $0.run("INSERT INTO t (id) VALUES ($1)", number) }
                    }
                }
                if randomness.next() % 3 == 0 { task.cancel() }
                tasks.append((task, number))
                if number == 1400 {
                    for done in tasks.prefix(700) { _ = await done.task.result }
                    await database.close()
                }
            }
            var inserted: Set<Int> = []
            var closed = 0
            for (task, number) in tasks {
                switch await task.result {
                case .success: inserted.insert(number)
                case .failure(let error): closed += (error as? BerthError)?.code == .unavailable ? 1 : 0
                }
            }
            #expect(closed > 0)
            #expect(inserted.count > 100)
        }
    }

    @Test func `a success was committed and a withdrawal was not`() async throws {
        let randomness = SeededRandomness(seed: 3)
        try await withEmptyDatabase { database in
            try await database.write { try $0.executeScript("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY) STRICT") }
            var tasks: [Task<Int, any Error>] = []
            for number in 0..<1000 {
                let task = Task {
                    try await database.write { connection in
                        try connection.run("INSERT INTO t (id) VALUES ($1)", number)
                        return number
                    }
                }
                if randomness.next() % 2 == 0 { task.cancel() }
                tasks.append(task)
            }
            var answered: [Int] = []
            for task in tasks {
                if case .success(let number) = await task.result { answered.append(number) }
            }
            let found = try await database.read { try $0.rows("SELECT id FROM t ORDER BY id").map { try $0.int("id") } }
            #expect(found == answered)
        }
    }
}
