import Base
import CPostgres
import Database

/// What a closure sees of a session. After its transaction every call is refused.
final class PostgresConnection: SQLConnection {
    private let session: PostgresSession
    private let allowsWriting: Bool
    private let watch: PostgresWatch?
    let group: TransactionGroup?
    private(set) var changedRows: Int64 = 0
    /// Something may be there that has to be undone when the transaction fails.
    private(set) var hasWritten = false
    /// The first failed statement's error, which ends the transaction whatever the closure does with it.
    private(set) var failure: (any Error)?

    /// Rows that it posts may go with those of others.
    private let sharesRows: Bool

    init(
        _ session: PostgresSession,
        allowsWriting: Bool,
        watch: PostgresWatch?,
        group: TransactionGroup? = nil,
        sharesRows: Bool = false
    ) {
        self.group = group
        self.sharesRows = sharesRows
        self.session = session
        self.allowsWriting = allowsWriting
        self.watch = watch
    }

    func end() { failure = failure ?? BerthError.usedAfterTransaction }

    func forEach(_ sql: SQL, _ values: [SQLValue], _ body: (Row) throws -> Bool) throws {
        let result = try run(sql, values)
        guard result.rowCount > 0 else { return }
        let columns = session.columns(of: sql, result)
        for row in 0..<result.rowCount {
            guard try body(try guarded { try result.row(row, columns) }) else { return }
        }
    }

    func execute(_ sql: SQL, _ values: [SQLValue]) throws -> Int { try run(sql, values).changedRows }

    func post(_ sql: SQL, _ values: [SQLValue]) throws { try post(PostgresCommand(sql: sql, values: values)) }

    func post(_ sql: SQL, _ values: [SQLValue], orThrow error: any Error) throws {
        try post(PostgresCommand(sql: sql, values: values, fence: RowFence(error: error)))
    }

    func post(_ row: RowStatement, _ values: [SQLValue], orThrow error: (any Error)?) throws {
        guard sharesRows else {
            return try post(PostgresCommand(sql: row.one, values: values, fence: error.map { RowFence(error: $0) }))
        }
        try guarded { session.post(row, try PostgresValues(values), isFenced: error != nil) }
        hasWritten = true
        changedRows += 1
    }

    private func post(_ command: PostgresCommand) throws {
        try enqueue(command, afterRows: true)
        changedRows += 1
    }

    func require(_ sql: SQL, _ values: [SQLValue], orThrow error: any Error) throws {
        // Before rows that wait, so that they go on waiting for those of the next transactions.
        let command = PostgresCommand(sql: sql, values: values, fence: RowFence(error: error))
        try enqueue(command, afterRows: false)
    }

    private func enqueue(_ command: PostgresCommand, afterRows: Bool) throws {
        try guarded {
            var command = command
            // Made here, so that a mistake of this closure does not surface in another.
            command.bound = try PostgresValues(command.values)
            session.post(command, afterRows: afterRows)
            hasWritten = true
        }
    }

    func executeScript(_ text: String) throws {
        try guarded {
            guard allowsWriting else { throw BerthError.readThatWrites(text) }
            hasWritten = true
            try session.script(text)
        }
    }

    func prepare(_ sql: SQL) throws { try guarded { try session.prepare(sql) } }

    private func run(_ sql: SQL, _ values: [SQLValue]) throws -> PostgresResult {
        try guarded {
            if let watch, watch.job.isCancelled { throw CancellationError() }
            let result: PostgresResult
            do {
                result = try session.run(PostgresCommand(sql: sql, values: values), watch: watch)
            } catch let error as ExchangeFailure {
                throw known(error, sql)
            }
            changedRows += Int64(result.changedRows)
            hasWritten = hasWritten || changedRows > 0 || !result.isPlain
            return result
        }
    }

    private func known(_ error: ExchangeFailure, _ sql: SQL) -> any Error {
        switch error.failure {
        case .readOnly where !allowsWriting: BerthError.readThatWrites(sql.text)
        case .stopped where watch != nil: watch?.job.isCancelled == true ? CancellationError() : BerthError.readTooLong
        default: error
        }
    }

    private func guarded<Value>(_ body: () throws -> Value) throws -> Value {
        if let failure { throw failure }
        do {
            return try body()
        } catch {
            failure = error
            throw error
        }
    }
}
