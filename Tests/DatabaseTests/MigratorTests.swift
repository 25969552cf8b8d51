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

    @Test(arguments: DatabaseEngine.allCases)
    func `marks of streams and events outlive the tables that held them`(engine: DatabaseEngine) async throws {
        try await withEmptyDatabase(on: engine) { database in
            try await Migrator(Array(ServerSchema.migrations.prefix(13)), time: SystemTime()).migrate(database)
            try await database.write { connection in
                for statement in Self.before { try connection.run(statement) }
            }
            try await Migrator(ServerSchema.migrations, time: SystemTime()).migrate(database)
            try await database.read { connection in
                let rows = try connection.rows(
                    """
                    SELECT stdout_total, stdout_head, stdout_tail, stdout_digest, stderr_total, stderr_digest
                    FROM execution_attempts ORDER BY attempt
                    """
                )
                #expect(try rows.map { try $0.optionalInteger("stdout_total") } == [7, 9])
                #expect(try rows.map { try $0.optionalInteger("stdout_head") } == [5, 9])
                #expect(try rows.map { try $0.optionalInteger("stdout_tail") } == [2, 0])
                #expect(try rows.map { try $0.optionalText("stdout_digest") } == ["aa", "cc"])
                #expect(try rows.map { try $0.optionalInteger("stderr_total") } == [1, nil])
                #expect(try rows.map { try $0.optionalText("stderr_digest") } == ["bb", nil])
                let events = try connection.rows("SELECT seq, subject, payload FROM events ORDER BY seq")
                #expect(try events.map { try $0.int("seq") } == [1, 2])
                #expect(try events.map { try $0.text("payload") } == ["{}", #"{"a":1}"#])
            }
        }
    }

    private static let before: [SQL] = [
        "INSERT INTO organizations (id, name, created_at) VALUES ('o', 'o', 1)",
        "INSERT INTO users (id, name, created_at) VALUES ('u', 'u', 1)",
        """
        INSERT INTO events (organization_id, seq, type, version, subject, payload, recorded_at)
        VALUES ('o', 1, 'a', 1, 's', '{}', 1), ('o', 2, 'b', 1, 's', '{"a":1}', 2)
        """,
        """
        INSERT INTO executions (id, organization_id, owner_id, agent, state, spec, created_at, state_entered_at)
        VALUES ('e', 'o', 'u', 'command', 'completed', '{}', 1, 1)
        """,
        """
        INSERT INTO execution_attempts (execution_id, attempt, organization_id, owner_id, assigned_at)
        VALUES ('e', 1, 'o', 'u', 1), ('e', 2, 'o', 'u', 1)
        """,
        """
        INSERT INTO output_streams
            (execution_id, attempt, stream, organization_id, owner_id, total_bytes, head_bytes, tail_bytes, digest)
        VALUES ('e', 1, 'stdout', 'o', 'u', 7, 5, 2, 'aa'), ('e', 1, 'stderr', 'o', 'u', 1, 1, 0, 'bb'),
            ('e', 2, 'stdout', 'o', 'u', 9, 9, 0, 'cc')
        """,
    ]
}
