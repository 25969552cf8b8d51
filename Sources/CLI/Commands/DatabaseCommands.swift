import API
import Base
import Database
import Migrations
import Server

enum MigrateCommand {
    static let command = Command(
        path: ["migrate"],
        summary: "Bring the database's schema up to this version.",
        options: ServeCommand.options + [.flag("check", "Change nothing; exit with 76 when steps are missing.")],
        examples: [
            Example(line: "berth migrate", about: "Before a new version starts"),
            Example(line: "berth migrate --check --json", about: "For a deployment's program"),
        ],
        discussion: """
            'berth serve' does the same at its start. Steps only add: servers of the version before go on meanwhile. A
            SQLite database is migrated while no server runs on it.
            """
    ) { arguments, terminal in
        struct Outcome: Encodable {
            var database: String
            var applied: [Int]
            var missing: [Int]
        }
        let place = DatabasePlace(of: try Surroundings.configuration(arguments, terminal))
        let migrator = Migrator(ServerSchema.migrations, time: SystemTime())
        let checks = arguments.has("check")
        let outcome = try await place.open(mayMake: !checks, time: SystemTime()) { database in
            checks
                ? Outcome(database: "\(place)", applied: [], missing: try await migrator.missing(in: database))
                : Outcome(database: "\(place)", applied: try await migrator.migrate(database), missing: [])
        }
        if arguments.has("json") {
            terminal.writeBytes(try JSONBody.encode(outcome) + Array("\n".utf8), toError: false)
        } else {
            let steps = (checks ? outcome.missing : outcome.applied).map { number in
                "  \(number) \(ServerSchema.migrations[number - 1].name)\n"
            }
            let words = checks ? "steps are missing" : "steps were applied"
            terminal.write(
                steps.isEmpty
                    ? "\(place) has schema \(ServerSchema.migrations.count), which is this version's\n"
                    : "\(place): \(steps.count) \(words)\n" + steps.joined()
            )
        }
        return outcome.missing.isEmpty ? 0 : ErrorCode.schemaMismatch.exitStatus
    }
}

enum DatabaseCopyCommand {
    static let command = Command(
        path: ["db", "copy"],
        summary: "Copy all records from one database to another, SQLite or PostgreSQL.",
        operands: [
            Operand(name: "FROM", count: .one, about: "sqlite, sqlite:PATH or postgres://…"),
            Operand(name: "TO", count: .one, about: "The same; it must hold nothing."),
        ],
        options: ServeCommand.options,
        examples: [
            Example(line: "berth db copy sqlite postgres://berth@db.example/berth", about: "Move to PostgreSQL"),
            Example(
                line: "berth db copy postgres://berth@db.example/berth sqlite:/tmp/berth.sqlite",
                about: "And back"
            ),
        ],
        discussion: """
            No server may run on either side. Rows are counted and their digests compared. A password may come from
            PGPASSWORD or ~/.pgpass instead of the URL. Not in the database, and so to be copied by hand: master.key, and
            the directories output, uploads and bundles of the data directory.
            """
    ) { arguments, terminal in
        let configuration = try Surroundings.configuration(arguments, terminal)
        let from = try DatabasePlace(arguments.operands[0], configuration, field: "FROM")
        let to = try DatabasePlace(arguments.operands[1], configuration, field: "TO")
        let isQuiet = arguments.has("json")
        let tables = try await from.open(mayMake: false, time: SystemTime()) { source in
            try await to.open(mayMake: true, time: SystemTime()) { target in
                try await DatabaseCopy(from: source, to: target, time: SystemTime()).run { table, rows in
                    if !isQuiet { terminal.writeError("\(table): \(rows) rows\n") }
                }
            }
        }
        if isQuiet {
            terminal.writeBytes(try JSONBody.encode(tables, pretty: true) + Array("\n".utf8), toError: false)
            return 0
        }
        var table = Table(header: ["TABLE", "ROWS", "SHA-256"])
        for copied in tables { table.rows.append([copied.name, "\(copied.rows)", String(copied.digest.prefix(16))]) }
        terminal.write(table.text(style: terminal.style))
        terminal.write("copied and compared: \(from) → \(to)\n")
        return 0
    }
}
