import Base
import Database
import DatabasePostgres

extension Doctor {
    /// Which engine keeps the records, whether it answers, and whether it keeps what it confirms.
    public static func database(_ configuration: Configuration) async -> [Finding] {
        guard let url = configuration.databaseURL else {
            return [Finding("database", .good, "SQLite \(SQLiteDatabase.libraryVersion) in the data directory")]
        }
        do {
            let database = try PostgresDatabase(PostgresConfiguration(url: url), time: SystemTime())
            let facts: [String: String]
            do {
                facts = try await database.read { connection in
                    var facts: [String: String] = [:]
                    for row in try connection.rows(settings) { facts[try row.text("name")] = try row.text("setting") }
                    return facts
                }
            } catch {
                await database.close()
                throw error
            }
            await database.close()
            return judge(facts, at: Configuration.shown(database: url.reveal()))
        } catch {
            let error = BerthError(wrapping: error)
            return [Finding("database", .bad, error.message, remedy: error.remedy)]
        }
    }

    private static func judge(_ facts: [String: String], at place: String) -> [Finding] {
        let version = facts["server_version"] ?? "of unknown version"
        var findings = [Finding("database", .good, "PostgreSQL \(version) at \(place)")]
        for name in ["fsync", "full_page_writes"] where facts[name] == "off" {
            findings.append(
                Finding(
                    "database",
                    .limited,
                    "\(name) is off: a power cut may lose or damage what was confirmed",
                    remedy: "set \(name) = on in postgresql.conf"
                )
            )
        }
        return findings
    }

    private static let settings: SQL = """
        SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'fsync', 'full_page_writes')
        """
}
