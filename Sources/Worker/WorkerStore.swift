internal import Base
internal import Database
internal import Domain
internal import Synchronization

/// The worker's own database: which attempts it accepted and how they ended. Every call is durable when it returns.
final class WorkerStore: Sendable {
    let database: SQLiteDatabase
    /// Rows that nobody needs any more. They go with the next change, so that forgetting costs no write of its own; one
    /// that stays after the worker's death is offered to the server again and forgotten again.
    private let unneeded = Mutex<[AttemptKey]>([])

    struct Entry: Sendable {
        var key: AttemptKey
        var record: AttemptRecord
        var report: ExecutionReport?
    }

    static func open(directory: String, time: any TimeSource) async throws -> WorkerStore {
        let database = try SQLiteDatabase(.small(path: directory + "/worker.db"), time: time)
        try await Migrator(migrations, time: time).migrate(database)
        return WorkerStore(database: database)
    }

    private init(database: SQLiteDatabase) { self.database = database }

    func close() async {
        _ = try? await write { _ in }
        await database.close()
    }

    /// Before anything of the attempt is started.
    /// - Returns: false when it is known already.
    func accept(_ key: AttemptKey, _ record: AttemptRecord) async throws -> Bool {
        let text = try JSONColumn.text(record)
        return try await write { connection in
            try connection.run(Self.insert, key.executionID, key.attempt, text, record.acceptedAt) == 1
        }
    }

    func update(_ key: AttemptKey, _ record: AttemptRecord) async throws {
        let text = try JSONColumn.text(record)
        try await database.write { try $0.run(Self.replace, key.executionID, key.attempt, text) }
    }

    /// Before the end is told to anyone. The first end stays.
    func end(_ key: AttemptKey, _ report: ExecutionReport, at time: Timestamp) async throws {
        let text = try JSONColumn.text(report)
        try await write { try $0.run(Self.finish, key.executionID, key.attempt, text, time) }
    }

    func forget(_ key: AttemptKey) { unneeded.withLock { $0.append(key) } }

    /// A transaction that also removes what is not needed any more.
    @discardableResult
    private func write<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        let keys = unneeded.withLock { keys in
            defer { keys = [] }
            return keys
        }
        do {
            return try await database.write { connection in
                for key in keys { try connection.run(Self.delete, key.executionID, key.attempt) }
                return try body(connection)
            }
        } catch {
            unneeded.withLock { $0 += keys }
            throw error
        }
    }

    func all() async throws -> [Entry] {
        try await database.read { connection in
            try connection.rows(Self.selectAll).map { row in
                Entry(
                    key: AttemptKey(executionID: try row.id("execution_id"), attempt: try row.int("attempt")),
                    record: try row.json("record"),
                    report: try row.optionalJSON("report")
                )
            }
        }
    }

    /// A value kept under a name, made by `make` the first time.
    func setting(_ name: String, orElse make: @escaping @Sendable () -> String) async throws -> String {
        try await database.write { connection in
            if let row = try connection.first(Self.selectSetting, name) { return try row.text("value") }
            let value = make()
            try connection.run(Self.insertSetting, name, value)
            return value
        }
    }

    private static let insert: SQL = """
        INSERT INTO attempts (execution_id, attempt, record, accepted_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
        """
    private static let replace: SQL = "UPDATE attempts SET record = $3 WHERE execution_id = $1 AND attempt = $2"
    private static let finish: SQL = """
        UPDATE attempts SET report = $3, ended_at = $4 WHERE execution_id = $1 AND attempt = $2 AND report IS NULL
        """
    private static let delete: SQL = "DELETE FROM attempts WHERE execution_id = $1 AND attempt = $2"
    private static let selectAll: SQL =
        "SELECT execution_id, attempt, record, report FROM attempts ORDER BY accepted_at, execution_id, attempt"
    private static let selectSetting: SQL = "SELECT value FROM settings WHERE name = $1"
    private static let insertSetting: SQL = "INSERT INTO settings (name, value) VALUES ($1, $2)"

    private static let migrations = [
        Migration(
            version: 1,
            name: "attempts",
            sql: """
                CREATE TABLE attempts (
                    execution_id TEXT NOT NULL,
                    attempt INTEGER NOT NULL,
                    record TEXT NOT NULL,
                    report TEXT,
                    accepted_at BIGINT NOT NULL,
                    ended_at BIGINT,
                    PRIMARY KEY (execution_id, attempt)
                ) STRICT;
                CREATE TABLE settings (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT;
                """
        ),
        terminalMigration,
        sessionMigration,
        frozenMigration,
    ]
}
