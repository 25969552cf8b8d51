internal import AgentSessions
internal import Base
internal import Database
internal import Domain
internal import SessionHost

/// Rows of agent sessions, and their logs, in the worker's own database.
extension WorkerStore {
    /// A step of a session: its record and the new lines of its log, together or not at all.
    func commit(_ record: SessionRecord, _ events: [LoggedEvent]) async throws {
        let text = try JSONColumn.text(record)
        try await database.write { connection in
            try connection.run(Self.putSession, record.id, record.workspaceId, text, record.createdAt)
            for event in events { try connection.run(Self.putEvent, record.id, event.seq, event.json) }
        }
    }

    /// In the order of their creation.
    func sessions() async throws -> [SessionRecord] {
        try await database.read { connection in
            try connection.rows(Self.selectSessions).map { try $0.json("record") }
        }
    }

    func remove(_ session: AgentSessionID) async throws {
        try await database.write { connection in
            try connection.run(Self.deleteEvents, session)
            try connection.run(Self.deleteSession, session)
        }
    }

    func events(of session: AgentSessionID, after seq: Int64, limit: Int) async throws -> [LoggedEvent] {
        try await database.read { connection in
            try connection.rows(Self.selectEvents, session, seq, Int64(limit)).map {
                LoggedEvent(seq: try $0.integer("seq"), json: try $0.text("event"))
            }
        }
    }

    /// The log's lines as a ``SessionAttachment`` carries them.
    /// - Returns: nil when there are none.
    func lines(of session: AgentSessionID, after seq: Int64, limit: Int) async throws -> (text: [UInt8], last: Int64)? {
        try await database.read { connection in
            var text: [UInt8] = []
            var last: Int64?
            for row in try connection.rows(Self.selectEvents, session, seq, Int64(limit)) {
                let number = try row.integer("seq")
                if last == nil, number > seq + 1 { SessionGap(from: seq + 1, to: number - 1).append(to: &text) }
                LoggedEvent(seq: number, json: try row.text("event")).append(to: &text)
                last = number
            }
            return last.map { (text, $0) }
        }
    }

    private static let putSession: SQL = """
        INSERT INTO agent_sessions (id, workspace_id, record, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (id) DO UPDATE SET workspace_id = excluded.workspace_id, record = excluded.record
        """
    private static let putEvent: SQL = "INSERT INTO agent_session_events (session_id, seq, event) VALUES ($1, $2, $3)"
    private static let selectSessions: SQL = "SELECT record FROM agent_sessions ORDER BY created_at, id"
    private static let selectEvents: SQL = """
        SELECT seq, event FROM agent_session_events WHERE session_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
        """
    private static let deleteSession: SQL = "DELETE FROM agent_sessions WHERE id = $1"
    private static let deleteEvents: SQL = "DELETE FROM agent_session_events WHERE session_id = $1"

    static let sessionMigration = Migration(
        version: 3,
        name: "agent-sessions",
        sql: """
            CREATE TABLE agent_sessions (
                id TEXT NOT NULL PRIMARY KEY,
                workspace_id TEXT NOT NULL,
                record TEXT NOT NULL,
                created_at BIGINT NOT NULL
            ) STRICT;
            CREATE TABLE agent_session_events (
                session_id TEXT NOT NULL,
                seq BIGINT NOT NULL,
                event TEXT NOT NULL,
                PRIMARY KEY (session_id, seq)
            ) STRICT;
            """
    )
}
