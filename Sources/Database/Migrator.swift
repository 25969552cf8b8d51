public import Base

/// Brings a schema to this version's: forward only, one transaction for each step, checksums stored.
public struct Migrator: Sendable {
    private let migrations: [Migration]
    private let time: any TimeSource

    public init(_ migrations: [Migration], time: any TimeSource) {
        self.migrations = migrations
        self.time = time
    }

    /// Applies what is missing and returns the versions it applied. Throws `schema_mismatch`, changing nothing, when the
    /// database is ahead of this program or was made by other migrations.
    @discardableResult
    public func migrate(_ database: any SQLDatabase) async throws -> [Int] {
        let lock = database.dialect.schemaLock
        for (index, migration) in migrations.enumerated() where migration.version != index + 1 {
            throw BerthError(.internal, "migrations are not numbered 1, 2, 3, …", detail: migration.name)
        }
        let createTable = database.dialect.migrationText(Self.createTable)
        try await database.write { connection in
            if let lock { try connection.executeScript(lock) }
            try connection.executeScript(createTable)
        }
        let applied = try await database.read { try self.verify(try $0.rows(Self.selectAll)) }
        var performed: [Int] = []
        for migration in migrations.dropFirst(applied) {
            let text = database.dialect.migrationText(migration.sql)
            let now = time.now
            let isNew = try await database.write { connection in
                if let lock { try connection.executeScript(lock) }
                // Another replica may have come first.
                guard try self.verify(try connection.rows(Self.selectAll)) < migration.version else { return false }
                try connection.executeScript(text)
                try connection.run(Self.insert, migration.version, migration.name, migration.checksum, now)
                return true
            }
            if isNew { performed.append(migration.version) }
        }
        return performed
    }

    /// The versions that `migrate` would apply; changes nothing and throws as it does.
    public func missing(in database: any SQLDatabase) async throws -> [Int] {
        let dialect = database.dialect
        let applied = try await database.read { connection in
            let tables = try connection.rows(dialect.tableColumns).map { try $0.text("table_name") }
            return tables.contains("schema_migrations") ? try verify(try connection.rows(Self.selectAll)) : 0
        }
        return migrations.dropFirst(applied).map(\.version)
    }

    /// Makes every server refuse the database until ``endCopy(in:)``: rows are under way into it.
    public func beginCopy(in database: any SQLDatabase) async throws {
        let now = time.now
        try await database.write { try $0.run(Self.insert, Self.copyMark, "copy", "", now) }
    }

    public func endCopy(in database: any SQLDatabase) async throws {
        try await database.write { try $0.run(Self.delete, Self.copyMark) }
    }

    /// How many of our migrations the database has, when it has nothing else.
    private func verify(_ rows: [Row]) throws -> Int {
        for row in rows {
            let version = try row.int("version")
            guard version != Self.copyMark else {
                throw BerthError(
                    .schemaMismatch,
                    "the database is a copy that was not finished",
                    remedy: "make the database anew, empty, and copy again"
                )
            }
            guard version <= migrations.count else {
                throw BerthError(
                    .schemaMismatch,
                    "the database has schema \(try rows.last?.int("version") ?? version), "
                        + "this program knows up to \(migrations.count)",
                    remedy: "start the newer version that migrated it, or restore a backup from before"
                )
            }
            let known = migrations[version - 1]
            guard try row.text("checksum") == known.checksum else {
                throw BerthError(
                    .schemaMismatch,
                    "schema step \(version) of the database ('\(try row.text("name"))') differs from this program's "
                        + "'\(known.name)'",
                    remedy: "start the version that made this database, or point to another data directory"
                )
            }
        }
        return rows.count
    }

    /// A version that no program reaches.
    private static let copyMark = 1_000_000
    private static let delete: SQL = "DELETE FROM schema_migrations WHERE version = $1"
    private static let createTable = """
        CREATE TABLE IF NOT EXISTS schema_migrations (
            version BIGINT NOT NULL PRIMARY KEY,
            name TEXT NOT NULL,
            checksum TEXT NOT NULL,
            applied_at BIGINT NOT NULL
        )
        """
    private static let selectAll: SQL = "SELECT version, name, checksum FROM schema_migrations ORDER BY version"
    private static let insert: SQL = """
        INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)
        """
}
