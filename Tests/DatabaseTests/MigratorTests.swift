import Base
import Database
import Migrations
import TestSupport
import Testing

@Suite struct MigratorTests {
    private let one = Migration(version: 1, name: "one", sql: "CREATE TABLE a (id TEXT NOT NULL PRIMARY KEY) STRICT;")
    private let two = Migration(
        version: 2,
        name: "two",
        sql: "ALTER TABLE a ADD COLUMN n INTEGER; CREATE TABLE b (x TEXT) STRICT;"
    )

    private func expectApplied(_ versions: [Int], _ migrations: [Migration], in database: any SQLDatabase) async throws
    {
        let applied = try await Migrator(migrations, time: SystemTime()).migrate(database)
        #expect(applied == versions)
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `steps are applied once, in order`(engine: DatabaseEngine) async throws {
        try await withEmptyDatabase(on: engine) { database in
            try await expectApplied([1], [one], in: database)
            try await expectApplied([2], [one, two], in: database)
            try await expectApplied([], [one, two], in: database)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a schema ahead of the program is refused, naming both`(engine: DatabaseEngine) async throws {
        try await withEmptyDatabase(on: engine) { database in
            try await Migrator([one, two], time: SystemTime()).migrate(database)
            let error = await #expect(throws: BerthError.self) {
                try await Migrator([one], time: SystemTime()).migrate(database)
            }
            #expect(error?.code == .schemaMismatch)
            #expect(error?.message.contains("schema 2") == true)
            #expect(error?.message.contains("up to 1") == true)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a changed step is refused`(engine: DatabaseEngine) async throws {
        try await withEmptyDatabase(on: engine) { database in
            try await Migrator([one], time: SystemTime()).migrate(database)
            let edited = Migration(version: 1, name: "one", sql: one.sql + " ")
            let error = await #expect(throws: BerthError.self) {
                try await Migrator([edited, two], time: SystemTime()).migrate(database)
            }
            #expect(error?.code == .schemaMismatch)
        }
    }

    @Test(arguments: DatabaseEngine.allCases)
    func `a step that fails leaves nothing behind`(engine: DatabaseEngine) async throws {
        try await withEmptyDatabase(on: engine) { database in
            let broken = Migration(version: 1, name: "broken", sql: "CREATE TABLE a (x TEXT) STRICT; SELECT nosuch;")
            await #expect(throws: BerthError.self) {
                try await Migrator([broken], time: SystemTime()).migrate(database)
            }
            try await expectApplied([1], [one], in: database)
        }
    }

    @Test func `the server's schema is made from nothing and every table is strict`() async throws {
        try await withDatabase { database in
            let tables = try await database.read {
                try $0.rows("SELECT name, strict FROM pragma_table_list WHERE type = 'table' AND schema = 'main'")
            }
            #expect(tables.count > 15)
            for table in tables where try !["schema_migrations", "sqlite_schema"].contains(table.text("name")) {
                let (name, isStrict) = (try table.text("name"), try table.bool("strict"))
                #expect(isStrict, "\(name)")
            }
        }
    }
}
