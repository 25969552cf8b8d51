public import Base
public import Database
import Migrations

/// A SQLite database of its own with the control plane's schema, closed and removed at the end.
@discardableResult
public func withDatabase<Result>(
    time: any TimeSource = SystemTime(),
    _ body: (SQLiteDatabase) async throws -> Result
) async throws -> Result {
    try await withEmptyDatabase(time: time) { database in
        try await Migrator(ServerSchema.migrations, time: time).migrate(database)
        return try await body(database)
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
    let result: Result
    do {
        result = try await body(database)
    } catch {
        await database.close()
        throw error
    }
    await database.close()
    withExtendedLifetime(directory) {}
    return result
}
