import Base
import Database
import DatabasePostgres
import FoundationEssentials
import Migrations

/// What one engine does: `database-bench sqlite:PATH | postgres://… [SECONDS]`. A completion is the transaction of a
/// run's end: its row read, three fenced updates, the row read again, the feed's number and an event.
@main struct DatabaseBench {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count > 1 else { return print("usage: database-bench sqlite:PATH | postgres://… [SECONDS]") }
        let seconds = arguments.count > 2 ? Int(arguments[2]) ?? 3 : 3
        let time = SystemTime()
        let database: any SQLDatabase =
            arguments[1].hasPrefix("sqlite:")
            ? try SQLiteDatabase(SQLiteConfiguration(path: String(arguments[1].dropFirst(7))), time: time)
            : try PostgresDatabase(PostgresConfiguration(url: Secret(arguments[1])), time: time)
        try await Migrator(ServerSchema.migrations, time: time).migrate(database)
        try await describe(database)
        var load = Load(database: database, time: time, limit: .seconds(seconds))
        for organizations in [1, 8] {
            try await load.prepare(organizations: organizations)
            for inFlight in [1, 16, 100] { try await load.completions(inFlight, organizations: organizations) }
        }
        for inFlight in [1, 16] { try await load.reads(inFlight) }
        for inFlight in [1, 16] { try await load.lookups(inFlight) }
        await database.close()
    }

    private static func describe(_ database: any SQLDatabase) async throws {
        guard database.dialect.name == "postgres" else { return print("sqlite \(SQLiteDatabase.libraryVersion)") }
        let settings: SQL = """
            SELECT name, setting FROM pg_settings
            WHERE name IN ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method')
            ORDER BY name
            """
        let rows = try await database.read { try $0.rows(settings) }
        print(try rows.map { "\(try $0.text("name"))=\(try $0.text("setting"))" }.joined(separator: " "))
    }
}
