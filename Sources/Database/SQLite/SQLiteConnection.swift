package import Base
import CSQLite

/// What a closure sees of a handle for the length of one transaction. After it, every call is refused.
package final class SQLiteConnection: SQLConnection {
    private let handle: SQLiteHandle
    private let watcher: StatementWatcher?
    private let allowsWriting: Bool
    private let changesBefore: Int64
    package let group: TransactionGroup?
    /// Something may be there that has to be undone when the transaction fails. A statement that fails undoes itself.
    private(set) var hasWritten = false
    /// The first failed statement's error, which ends the transaction whatever the closure does with it.
    package private(set) var failure: BerthError?

    /// Without a limit of time, for a caller that has the handle to itself.
    package convenience init(_ handle: SQLiteHandle, allowsWriting: Bool) {
        self.init(handle, allowsWriting: allowsWriting, watcher: nil)
    }

    init(_ handle: SQLiteHandle, allowsWriting: Bool, watcher: StatementWatcher?, group: TransactionGroup? = nil) {
        self.group = group
        self.handle = handle
        self.allowsWriting = allowsWriting
        self.watcher = watcher
        changesBefore = handle.totalChanges
    }

    package var changedRows: Int64 { handle.totalChanges - changesBefore }

    package func end() {
        failure = failure ?? .usedAfterTransaction
    }

    package func forEach(_ sql: SQL, _ values: [SQLValue], _ body: (Row) throws -> Bool) throws {
        try guarded {
            try run(sql, values) { statement in
                // The caller's own error ends the loop, not the transaction's health.
                do { return try body(try statement.row()) } catch { throw CallerError(underlying: error) }
            }
        }
    }

    package func execute(_ sql: SQL, _ values: [SQLValue]) throws -> Int {
        try guarded {
            let before = handle.totalChanges
            try run(sql, values) { _ in true }
            return handle.totalChanges == before ? 0 : handle.changes
        }
    }

    package func prepare(_ sql: SQL) throws {
        try guarded { _ = try handle.statement(sql) }
    }

    package func executeScript(_ text: String) throws {
        try guarded {
            guard allowsWriting else { throw BerthError.readThatWrites(text) }
            hasWritten = true
            try handle.script(text)
        }
    }

    private func run(_ sql: SQL, _ values: [SQLValue], _ eachRow: (SQLiteStatement) throws -> Bool) throws {
        if let watcher, watcher.shouldStop { throw stopped(watcher) }
        let statement = try handle.statement(sql)
        guard allowsWriting || statement.isReadOnly else { throw BerthError.readThatWrites(sql.text) }
        guard !statement.isBusy else {
            throw BerthError(.internal, "a SQL statement was run inside its own result", detail: sql.text)
        }
        statement.begin()
        let changesBefore = handle.totalChanges
        defer {
            statement.end()
            if !statement.isReadOnly, !statement.changesRows || handle.totalChanges != changesBefore {
                hasWritten = true
            }
        }
        try handle.require(try statement.bind(values), statement: sql.text)
        while true {
            switch statement.step() {
            case SQLITE_ROW:
                guard try eachRow(statement) else { return }
            case SQLITE_DONE: return
            case SQLITE_INTERRUPT:
                throw watcher.map(stopped) ?? handle.error(SQLITE_INTERRUPT, statement: sql.text)
            case let code: throw handle.error(code, statement: sql.text)
            }
        }
    }

    private func guarded<Value>(_ body: () throws -> Value) throws -> Value {
        if let failure { throw failure }
        do {
            return try body()
        } catch let error as CallerError {
            throw error.underlying
        } catch {
            failure = BerthError(wrapping: error)
            throw error
        }
    }

    private func stopped(_ watcher: StatementWatcher) -> any Error {
        guard watcher.isLate else { return CancellationError() }
        return BerthError.readTooLong
    }

    private struct CallerError: Error {
        let underlying: any Error
    }
}
