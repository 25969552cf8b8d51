public import Base
public import Database
import DatabasePostgres
import FoundationEssentials

/// Where records are: a file of SQLite's, or a PostgreSQL database.
public enum DatabasePlace: Sendable, CustomStringConvertible {
    /// Path of the file.
    case sqlite(String)
    case postgres(Secret<String>)

    /// - Parameter text: `sqlite` (the data directory's file), `sqlite:PATH` or `postgres://…`.
    public init(_ text: String, _ configuration: Configuration, field: String) throws(BerthError) {
        if text == "sqlite" {
            self = .sqlite(DataDirectory(path: configuration.dataDirectory).databasePath)
        } else if text.hasPrefix("sqlite:") {
            self = .sqlite(String(text.dropFirst("sqlite:".count)))
        } else if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            self = .postgres(Secret(text))
        } else {
            throw BerthError(
                .invalidValue,
                "this is no place of a database",
                field: field,
                remedy: "write sqlite, sqlite:PATH or postgres://user:password@host:port/database"
            )
        }
    }

    /// The one that the server uses.
    public init(of configuration: Configuration) {
        if let url = configuration.databaseURL {
            self = .postgres(url)
        } else {
            self = .sqlite(DataDirectory(path: configuration.dataDirectory).databasePath)
        }
    }

    public var description: String {
        switch self {
        case .sqlite(let path): "sqlite:\(path)"
        case .postgres(let url): Configuration.shown(database: url.reveal())
        }
    }

    /// Opens it for the length of `body`. A SQLite file is held as a server holds it: `conflict` while one runs.
    /// - Parameter mayMake: otherwise a missing file is `not_found`.
    public func open<Value: Sendable>(
        mayMake: Bool,
        time: any TimeSource,
        _ body: (any SQLDatabase) async throws -> Value
    ) async throws -> Value {
        switch self {
        case .postgres(let url):
            return try await Self.closing(
                try PostgresDatabase(PostgresConfiguration(url: url), time: time),
                body
            )
        case .sqlite(let path):
            guard mayMake || Files.exists(path) else {
                throw BerthError(.notFound, "there is no database \(path)", remedy: "check --data and the path")
            }
            let directory = DataDirectory(
                path: path.lastIndex(of: "/").map { String(path[..<$0]) } ?? FileManager.default.currentDirectoryPath
            )
            if mayMake { try DataDirectory.makeDirectory(directory.path) }
            let lock = try await directory.lock(time: time)
            let value = try await Self.closing(
                try SQLiteDatabase(SQLiteConfiguration(path: path), time: time),
                body
            )
            _ = consume lock
            return value
        }
    }

    private static func closing<Value: Sendable>(
        _ database: any SQLDatabase,
        _ body: (any SQLDatabase) async throws -> Value
    ) async throws -> Value {
        let value: Value
        do {
            value = try await body(database)
        } catch {
            await database.close()
            throw error
        }
        await database.close()
        return value
    }
}
