internal import AgentSessions
internal import Base
internal import Database
internal import Domain
internal import SessionHost

/// Events of a session's log that are kept no longer.
struct SessionGap: Equatable {
    var from: Int64
    var to: Int64

    /// As a `SessionAttachment` carries it.
    func append(to text: inout [UInt8]) { text += Array("gap \(to + 1) {\"from\":\(from),\"to\":\(to)}\n".utf8) }
}

/// A session's log is bounded: past the limit its oldest events go, as the oldest bytes of a terminal do, and whoever reads
/// from before is told of the gap.
enum SessionLogLimit {
    /// Of the events' JSON text.
    static let bytes: Int64 = 64 << 20
    /// What is left when the oldest have gone, so that they go seldom.
    static let keptBytes: Int64 = 48 << 20
}

extension AgentSessionHouse {
    /// What cannot be counted or removed now is so with the next event.
    func bound(_ session: LiveSession, adding events: [LoggedEvent]) async {
        guard !events.isEmpty else { return }
        let id = session.record.id
        do {
            var size: Int64
            if let known = session.loggedBytes {
                size = known + events.reduce(0) { $0 + Int64($1.json.utf8.count) }
            } else {
                size = try await services.store.loggedBytes(of: id)
            }
            if size > SessionLogLimit.bytes {
                size -= try await services.store.dropEvents(of: id, freeing: size - SessionLogLimit.keptBytes)
            }
            session.loggedBytes = size
        } catch {
            session.loggedBytes = nil
            services.log.warning("log of a session not bounded", ["session": id, "error": "\(error)"])
        }
    }
}

extension WorkerStore {
    private static let pageEvents: Int64 = 500

    func loggedBytes(of session: AgentSessionID) async throws -> Int64 {
        try await database.read { connection in
            try connection.rows(Self.sumEvents, session).first?.integer("bytes") ?? 0
        }
    }

    /// Removes the oldest events until so many bytes are free, never the newest of all.
    /// - Returns: bytes that were freed.
    func dropEvents(of session: AgentSessionID, freeing wanted: Int64) async throws -> Int64 {
        var freed: Int64 = 0
        while freed < wanted {
            let left = wanted - freed
            let dropped: Int64 = try await database.write { connection in
                var bytes: Int64 = 0
                var last: Int64?
                let sizes = try connection.rows(Self.selectSizes, session, Self.pageEvents)
                for row in sizes.dropLast() where bytes < left {
                    bytes += try row.integer("bytes")
                    last = try row.integer("seq")
                }
                guard let last else { return 0 }
                try connection.run(Self.deleteOldest, session, last)
                return bytes
            }
            if dropped == 0 { break }
            freed += dropped
        }
        return freed
    }

    private static let sumEvents: SQL = """
        SELECT COALESCE(SUM(LENGTH(CAST(event AS BLOB))), 0) AS bytes FROM agent_session_events WHERE session_id = $1
        """
    private static let selectSizes: SQL = """
        SELECT seq, LENGTH(CAST(event AS BLOB)) AS bytes FROM agent_session_events WHERE session_id = $1
        ORDER BY seq LIMIT $2
        """
    private static let deleteOldest: SQL = "DELETE FROM agent_session_events WHERE session_id = $1 AND seq <= $2"
}
