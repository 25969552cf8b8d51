internal import Base
internal import Database
internal import Terminals

/// Rows of terminals in the worker's own database.
extension WorkerStore {
    /// Before its program is started, and at every change of what is durable.
    func put(_ terminal: TerminalRecord) async throws {
        let text = try JSONColumn.text(terminal)
        try await database.write { connection in
            try connection.run(Self.putTerminal, terminal.id, text, terminal.createdAt)
        }
    }

    /// In the order of their creation.
    func terminals() async throws -> [TerminalRecord] {
        try await database.read { connection in
            try connection.rows(Self.selectTerminals).map { try $0.json("record") }
        }
    }

    func remove(_ terminal: TerminalID) async throws {
        try await database.write { try $0.run(Self.deleteTerminal, terminal) }
    }

    private static let putTerminal: SQL = """
        INSERT INTO terminals (id, record, created_at) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET record = excluded.record
        """
    private static let selectTerminals: SQL = "SELECT record FROM terminals ORDER BY created_at, id"
    private static let deleteTerminal: SQL = "DELETE FROM terminals WHERE id = $1"

    static let terminalMigration = Migration(
        version: 2,
        name: "terminals",
        sql: """
            CREATE TABLE terminals (
                id TEXT NOT NULL PRIMARY KEY,
                record TEXT NOT NULL,
                created_at BIGINT NOT NULL
            ) STRICT;
            """
    )
}
