public import Base
public import Database
public import DatabasePostgres
import Migrations

/// The engines that a test of services runs on.
public enum DatabaseEngine: String, Sendable, CaseIterable, CustomStringConvertible {
    case sqlite
    case postgres

    public var description: String { rawValue }
}

/// A database of its own with the control plane's schema, closed and removed at the end.
@discardableResult
public func withDatabase<Result>(
    on engine: DatabaseEngine = .sqlite,
    time: any TimeSource = SystemTime(),
    _ body: (any SQLDatabase) async throws -> Result
) async throws -> Result {
    switch engine {
    case .sqlite:
        try await withEmptyDatabase(time: time) { database in
            try await Migrator(ServerSchema.migrations, time: time).migrate(database)
            return try await body(database)
        }
    case .postgres: try await withPostgres(time: time, migrated: true, body)
    }
}

/// A database of its own without any table.
@discardableResult
public func withEmptyDatabase<Result>(
    on engine: DatabaseEngine,
    _ body: (any SQLDatabase) async throws -> Result
) async throws -> Result {
    switch engine {
    case .sqlite: try await withEmptyDatabase { try await body($0) }
    case .postgres: try await withPostgres { try await body($0) }
    }
}

/// A SQLite database of its own without any table.
@discardableResult
public func withEmptyDatabase<Result>(
    time: any TimeSource = SystemTime(),
    configure: (inout SQLiteConfiguration) -> Void = { _ in },
    _ body: (SQLiteDatabase) async throws -> Result
) async throws -> Result {
    let directory = try TemporaryDirectory("database")
    var configuration = SQLiteConfiguration(path: directory.file("berth.sqlite"))
    configure(&configuration)
    let database = try SQLiteDatabase(configuration, time: time)
    defer { withExtendedLifetime(directory) {} }
    return try await closing(database, body)
}

/// A PostgreSQL database of its own on the test run's server.
@discardableResult
public func withPostgres<Result>(
    time: any TimeSource = SystemTime(),
    migrated: Bool = false,
    configure: (inout PostgresConfiguration) -> Void = { _ in },
    _ body: (PostgresDatabase) async throws -> Result
) async throws -> Result {
    let cluster = try await PostgresCluster.shared()
    return try await cluster.withDatabase(migrated: migrated) { name in
        var configuration = try PostgresConfiguration(url: cluster.url(name))
        configure(&configuration)
        return try await closing(try PostgresDatabase(configuration, time: time), body)
    }
}

private func closing<Database: SQLDatabase, Result>(
    _ database: Database,
    _ body: (Database) async throws -> Result
) async throws -> Result {
    let result: Result
    do {
        result = try await body(database)
    } catch {
        await database.close()
        throw error
    }
    await database.close()
    return result
}
