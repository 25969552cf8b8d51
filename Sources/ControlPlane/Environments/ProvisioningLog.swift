public import Base
import Database
import Domain

/// A line of an environment's provisioning log.
public struct ProvisioningEntry: Sendable, Equatable {
    public enum Level: String, Sendable, Codable, CaseIterable {
        case info, success, error, debug
    }

    /// 1, 2, … of its environment.
    public var seq: Int64
    public var at: Timestamp
    public var level: Level
    public var message: String
}

/// What was done to environments lately: of each the last ``capacity`` entries, none older than an hour.
struct ProvisioningLog: Sendable {
    static let capacity: Int64 = 100
    private static let horizon = Duration.seconds(-3600)
    /// Bytes of a message; a provider may have much to say.
    private static let longest = 4096

    static let number: SQL = "UPDATE environments SET log_seq = log_seq + 1 WHERE id = $1 RETURNING log_seq"
    static let insert: SQL = """
        INSERT INTO provisioning_log (environment_id, seq, at, level, message) VALUES ($1, $2, $3, $4, $5)
        """
    static let trim: SQL = "DELETE FROM provisioning_log WHERE environment_id = $1 AND (seq <= $2 OR at < $3)"
    static let expire: SQL = "DELETE FROM provisioning_log WHERE at < $1"
    static let entries: SQL = """
        SELECT seq, at, level, message FROM provisioning_log
        WHERE environment_id = $1 AND seq > $2 AND at >= $3 ORDER BY seq
        """
    static let statements = [number, insert, trim, expire, entries]

    let time: any TimeSource

    /// Within the transaction of what it tells of.
    func add(
        _ level: ProvisioningEntry.Level,
        _ message: String,
        to environment: EnvironmentID,
        in connection: any SQLConnection
    ) throws {
        guard let row = try connection.first(Self.number, environment) else { return }
        let seq = try row.integer("log_seq")
        let now = time.now
        try connection.run(Self.insert, environment, seq, now, level.rawValue, Self.cut(message))
        try connection.run(Self.trim, environment, seq - Self.capacity, now + Self.horizon)
    }

    /// Later than `seq`, oldest first.
    func entries(of environment: EnvironmentID, after seq: Int64, in connection: any SQLConnection) throws
        -> [ProvisioningEntry]
    {
        try connection.rows(Self.entries, environment, seq, time.now + Self.horizon).map { row in
            ProvisioningEntry(
                seq: try row.integer("seq"),
                at: try row.timestamp("at"),
                level: try row.value("level"),
                message: try row.text("message")
            )
        }
    }

    /// Those of environments to which nothing happens any more.
    func expire(in connection: any SQLConnection) throws {
        try connection.run(Self.expire, time.now + Self.horizon)
    }

    /// Text that every database keeps: without NUL, and bounded.
    private static func cut(_ message: String) -> String {
        let text = String(message.unicodeScalars.filter { $0.value != 0 }.map(Character.init))
        guard text.utf8.count > longest else { return text }
        return String(decoding: text.utf8.prefix(longest), as: UTF8.self) + "…"
    }
}

extension ProvisioningLog {
    /// What a change of an environment's row says to people; nil where it says nothing.
    static func line(for after: EnvironmentRecord, before: EnvironmentRecord?) -> (ProvisioningEntry.Level, String)? {
        guard after.state != before?.state else {
            // A call that failed and will be made again.
            guard let message = after.message, message != before?.message else { return nil }
            return (.error, message)
        }
        switch after.state {
        case .requested: return (.info, "'\(after.name)' was asked for: \(after.spec.provider)")
        case .provisioning: return (.info, "laying its place on the provider '\(after.spec.provider)'")
        case .starting:
            return (.info, after.operation == .resume ? "resuming" : "boot \(after.instance) begins")
        case .running:
            let took = before.map { " after \((after.stateEnteredAt - $0.stateEnteredAt).wholeMilliseconds) ms" }
            return (.success, "running: its worker is ready" + (took ?? ""))
        case .pausing: return (.info, "pausing")
        case .paused: return (.success, "paused")
        case .stopping: return (.info, "stopping")
        case .stopped: return (.success, "stopped" + (after.message.map { ": \($0)" } ?? "; its files are kept"))
        case .destroying: return (.info, "being destroyed")
        case .destroyed: return (.success, "destroyed")
        case .error:
            guard let cause = after.cause else { return (.error, after.message ?? "in error") }
            let words = cause.providerWords.map { "; the provider says: \($0)" } ?? ""
            return (
                .error, "\(cause.operation) failed: \(cause.message)\(words)" + (cause.remedy.map { " (\($0))" } ?? "")
            )
        }
    }
}
