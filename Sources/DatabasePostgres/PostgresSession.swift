import Base
import CPostgres
import Database

/// One transaction on a connection. Commands without a result of interest wait for the next that has one, or for the end:
/// all go in one round trip.
final class PostgresSession {
    private let handle: PostgresHandle
    private let isWriting: Bool
    private var pending: [PostgresCommand] = []
    /// Posted rows that are in no command yet.
    private var rows = WaitingRows()
    /// Pending commands before this one belong to transactions that were told that they are done.
    private var ownStart = 0
    private var hasBegun = false
    /// Once it changed something.
    private(set) var mark: TransactionMark?

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

    /// - Parameter afterRows: behind all that was posted before; else it may overtake rows.
    func post(_ command: PostgresCommand, afterRows: Bool = true) {
        if afterRows { gatherRows() }
        pending.append(command)
    }

    func post(_ row: RowStatement, _ values: PostgresValues, isFenced: Bool) {
        rows.add(row, values, isFenced: isFenced)
    }

    private func gatherRows() { if !rows.isEmpty { pending += rows.take() } }

    /// Runs what waits and then `command`; returns its result.
    func run(_ command: PostgresCommand, watch: PostgresWatch?) throws -> PostgresResult {
        gatherRows()
        var commands = pending + [command]
        let asksForID = isWriting && mark == nil && hasBegun && !command.sql.text.hasPrefix("SELECT")
        if asksForID { commands.append(PostgresCommand(sql: TransactionMark.query)) }
        let results = try exchange(commands, watch: watch)
        if asksForID, let answer = results.last { mark = try mark(answer) }
        return results[commands.count - (asksForID ? 2 : 1)]
    }

    func script(_ text: String) throws {
        try flush()
        try handle.script(text)
    }

    func prepare(_ sql: SQL) throws { try handle.prepare(sql) }

    func columns(of sql: SQL, _ result: PostgresResult) -> Columns { handle.columns(of: sql, result) }

    /// The end of a transaction that changes; true unless there was nothing to commit.
    func commit(_ group: TransactionGroup) throws {
        gatherRows()
        beginOwn()
        try group.close(on: PostgresConnection(self, allowsWriting: true, watch: nil))
        if pending.count > (hasBegun ? 1 : 0), mark == nil {
            // Only posted commands: ask for the number before the outcome can be lost.
            let results = try exchange(pending + [PostgresCommand(sql: TransactionMark.query)], watch: nil)
            if let answer = results.last { mark = try mark(answer) }
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
        (pending, rows) = ([], WaitingRows())
        _ = try exchange([PostgresCommand(sql: "ROLLBACK")], watch: nil)
    }

    private func exchange(_ commands: [PostgresCommand], watch: PostgresWatch?) throws -> [PostgresResult] {
        let (own, waiting) = (ownStart, pending)
        (pending, ownStart) = ([], 0)
        let results: [PostgresResult]
        do {
            results = try handle.exchange(commands, watch: watch)
        } catch let error as ExchangeFailure {
            // What was not run any more is left out: the end of the transaction or of its savepoint follows.
            let isShared = commands.indices.contains(error.index) && commands[error.index].isShared
            if isShared || error.index < own, case .refused = error.failure { throw NeighbourFailure() }
            throw error
        } catch {
            // Nothing was sent.
            (pending, ownStart) = (waiting, own)
            throw error
        }
        for (index, result) in results.enumerated() {
            guard let fence = commands[index].fence, max(Int(result.rowCount), result.changedRows) != fence.rows else {
                continue
            }
            throw index < own ? NeighbourFailure() : fence.error
        }
        return results
    }

    /// Runs what waits, so that its failures are known.
    func flush() throws {
        gatherRows()
        if !pending.isEmpty { _ = try exchange(pending, watch: nil) }
    }

    private func mark(_ result: PostgresResult) throws -> TransactionMark? {
        guard result.rowCount == 1 else { return nil }
        return try TransactionMark(
            result.row(0, handle.columns(of: TransactionMark.query, result)),
            run: handle.serverRun
        )
    }
}

/// What failed is another transaction's of the same group, or nobody's in particular: each has to run alone.
struct NeighbourFailure: Error {}
