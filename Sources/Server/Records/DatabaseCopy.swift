public import Base
public import Database
import Migrations

/// Copies every row from one engine to another and compares what arrived.
public struct DatabaseCopy: Sendable {
    public struct CopiedTable: Sendable, Encodable {
        public var name: String
        public var rows: Int
        /// SHA-256 over the rows in the order of their keys, the same on both sides.
        public var digest: String
    }

    private let source: any SQLDatabase
    private let target: any SQLDatabase
    private let time: any TimeSource

    public init(from source: any SQLDatabase, to target: any SQLDatabase, time: any TimeSource) {
        self.source = source
        self.target = target
        self.time = time
    }

    /// Throws `schema_mismatch` for a source of another version, `conflict` for a target that holds something or a server
    /// that runs on either side, `internal` when a table arrives otherwise than it left. A copy that breaks off leaves a
    /// target that no server accepts.
    /// - Parameter progress: told a table's name and its rows so far.
    public func run(progress: @Sendable (String, Int) -> Void) async throws -> [CopiedTable] {
        let migrator = Migrator(ServerSchema.migrations, time: time)
        guard try await migrator.missing(in: source).isEmpty else {
            throw BerthError(
                .schemaMismatch,
                "the source has an older schema than this program",
                remedy: "run 'berth migrate' on it first"
            )
        }
        try await migrator.migrate(target)
        let tables = try await TableShape.all(in: source)
        let shapes = try await TableShape.all(in: target)
        for table in tables {
            guard let twin = shapes.first(where: { $0.name == table.name }),
                Set(twin.columns) == Set(table.columns), twin.key == table.key, shapes.count == tables.count
            else { throw BerthError(.schemaMismatch, "the table \(table.name) differs between the two databases") }
        }
        try await requireNoServer(on: source, "source")
        try await requireNoServer(on: target, "target")
        for table in tables { try await requireEmpty(table) }
        try await migrator.beginCopy(in: target)
        var copied: [CopiedTable] = []
        for table in tables { copied.append(try await copy(table, progress)) }
        for table in copied { try await verify(table, tables) }
        try await migrator.endCopy(in: target)
        return copied
    }

    private func copy(_ table: TableShape, _ progress: @Sendable (String, Int) -> Void) async throws -> CopiedTable {
        var digest = RowDigest()
        var count = 0
        let insert = table.insert
        try await walk(table, in: source) { rows in
            for row in rows { digest.add(row) }
            try await target.write { connection in
                for row in rows { try connection.post(insert, row) }
            }
            count += rows.count
            progress(table.name, count)
        }
        return CopiedTable(name: table.name, rows: count, digest: digest.text)
    }

    private func verify(_ copied: CopiedTable, _ tables: [TableShape]) async throws {
        guard let table = tables.first(where: { $0.name == copied.name }) else { return }
        var digest = RowDigest()
        var count = 0
        try await walk(table, in: target) { rows in
            for row in rows { digest.add(row) }
            count += rows.count
        }
        guard count == copied.rows, digest.text == copied.digest else {
            throw BerthError(
                .internal,
                "the table \(copied.name) did not arrive as it left: \(copied.rows) rows left, \(count) arrived",
                remedy: "use the source; make the target anew and copy again"
            )
        }
    }

    /// Pages in the order of the key, of about 4 MB at most.
    private func walk(
        _ table: TableShape,
        in database: any SQLDatabase,
        _ body: ([[SQLValue]]) async throws -> Void
    ) async throws {
        var last: [SQLValue]?
        while true {
            let (sql, values) = (table.page(after: last), last ?? [])
            let rows = try await database.read { connection in
                var rows: [[SQLValue]] = []
                var size = 0
                try connection.forEach(sql, values) { row in
                    let values = try table.columns.map { try row[$0] }
                    size += values.reduce(0) { $0 + Self.size($1) }
                    rows.append(values)
                    return size < 4 << 20
                }
                return rows
            }
            guard let end = rows.last else { return }
            try await body(rows)
            last = table.key.map { name in
                table.columns.firstIndex(of: name).map { end[$0] } ?? .null
            }
        }
    }

    private static func size(_ value: SQLValue) -> Int {
        switch value {
        case .null, .integer, .real: 8
        case .text(let text): text.utf8.count
        case .blob(let blob): blob.count
        }
    }

    private func requireEmpty(_ table: TableShape) async throws {
        let count = try await target.read { try $0.first(table.count)?.int("count") ?? 0 }
        guard count == 0 else {
            throw BerthError(
                .conflict,
                "the target is not empty: \(count) rows in \(table.name)",
                remedy: "make a new database and copy into that"
            )
        }
    }

    /// A server's lease says that it lives; one that was killed lives 10 s longer.
    private func requireNoServer(on database: any SQLDatabase, _ side: String) async throws {
        let living: SQL = "SELECT id FROM replicas WHERE expires_at > " + database.dialect.now
        guard let row = try await database.read({ try $0.first(living) }) else { return }
        throw BerthError(
            .conflict,
            "a server runs on the \(side): \(try row.text("id"))",
            remedy: "stop it; one that was killed counts as running for 10 seconds"
        )
    }
}
