import Base
import CPostgres
import Database

/// One transaction on a connection. Commands without a result of interest wait for the next that has one, or for the end:
/// all go in one round trip.
final class PostgresSession {
    private let handle: PostgresHandle
    private let isWriting: Bool
    private var pending: [PostgresCommand] = []
    /// Pending commands before this one belong to transactions that were told that they are done.
    private var ownStart = 0
    private var hasBegun = false
    /// The transaction's number in the server, once it changed something: tells later what became of it.
    private(set) var transactionID: String?

    init(_ handle: PostgresHandle, isWriting: Bool, isLookup: Bool = false) throws {
        self.handle = handle
        self.isWriting = isWriting
        if handle.hasManyStatements {
            _ = try handle.exchange([PostgresCommand(sql: "DEALLOCATE ALL")])
            handle.forgetStatements()
        }
        if !isLookup {
            pending.append(PostgresCommand(sql: "BEGIN"))
            hasBegun = true
        }
    }

    /// Marks where the commands of the next closure begin.
    func beginOwn() { ownStart = pending.count }

    func post(_ command: PostgresCommand) { pending.append(command) }

    /// Runs what waits and then `command`; returns its result.
    func run(_ command: PostgresCommand, watch: PostgresWatch?) throws -> PostgresResult {
        var commands = pending + [command]
        let asksForID = isWriting && transactionID == nil && hasBegun && !command.sql.text.hasPrefix("SELECT")
        if asksForID { commands.append(PostgresCommand(sql: Self.currentID)) }
        let results = try exchange(commands, watch: watch)
        if asksForID, let answer = results.last { transactionID = try id(answer) }
        return results[commands.count - (asksForID ? 2 : 1)]
    }

    func script(_ text: String) throws {
        if !pending.isEmpty { _ = try exchange(pending, watch: nil) }
        try handle.script(text)
    }

    func prepare(_ sql: SQL) throws { try handle.prepare(sql) }

    func columns(of sql: SQL, _ result: PostgresResult) -> Columns { handle.columns(of: sql, result) }

    /// The end of a transaction that changes; true unless there was nothing to commit.
    func commit() throws {
        if pending.count > (hasBegun ? 1 : 0), transactionID == nil {
            // Only posted commands: ask for the number before the outcome can be lost.
            let results = try exchange(pending + [PostgresCommand(sql: Self.currentID)], watch: nil)
            if let answer = results.last { transactionID = try id(answer) }
        }
        let results = try exchange(pending + [PostgresCommand(sql: "COMMIT")], watch: nil)
        guard results.last?.tag == "COMMIT" else {
            throw BerthError(.internal, "a database transaction was undone", detail: results.last?.tag)
        }
    }

    /// The end of a snapshot; nothing where no statement ran.
    func release() throws {
        guard hasBegun, pending.isEmpty else { return }
        _ = try exchange([PostgresCommand(sql: "COMMIT")], watch: nil)
    }

    func rollBack() throws {
        pending = []
        _ = try exchange([PostgresCommand(sql: "ROLLBACK")], watch: nil)
    }

    private func exchange(_ commands: [PostgresCommand], watch: PostgresWatch?) throws -> [PostgresResult] {
        do {
            let results = try handle.exchange(commands, watch: watch)
            pending = []
            ownStart = 0
            return results
        } catch let error as ExchangeFailure {
            if error.index < ownStart, case .refused = error.failure { throw NeighbourFailure() }
            throw error
        }
    }

    private func id(_ result: PostgresResult) throws -> String? {
        guard result.rowCount == 1 else { return nil }
        return try result.row(0, handle.columns(of: Self.currentID, result)).optionalText("id")
    }

    private static let currentID: SQL = "SELECT CAST(pg_current_xact_id_if_assigned() AS TEXT) AS id"
}

/// A posted statement of an earlier closure in the same group failed: each has to run alone.
struct NeighbourFailure: Error {}
