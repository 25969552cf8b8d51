public import Base

/// A database engine behind one seam. Closures run synchronously on the engine's own thread, have no effects outside
/// (no I/O, no locks held, no captured mutable state) and may be run again from the start when the engine is busy.
///
/// Errors of every call, as `BerthError`: `conflict` (unique constraint), `diskFull`, `unavailable` (busy, or closed),
/// `timedOut` (a read over its limit), `cancelled` as `CancellationError`, `internal` (anything else; text in `detail`).
public protocol SQLDatabase: Sendable {
    var dialect: any SQLDialect { get }

    /// One consistent snapshot; writing is refused. Cancelling the task interrupts the running statement.
    func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value

    /// One transaction, durable on disk when this returns; rolled back when `body` throws. For rows of an organization
    /// use ``Feed/transaction(organization:_:)``, which cannot forget the event. Cancelling the task
    /// withdraws a transaction that has not begun, and never one that has.
    @discardableResult
    func write<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value

    /// As ``write(_:)``, for rows of one organization: an engine with several writers takes those over one of them, where
    /// they share commits and never wait for each other's locks.
    @discardableResult
    func write<Value: Sendable>(
        of organization: OrganizationID,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value

    /// One row by its key; nil: there is no row.
    func find<Value: Sendable>(_ query: RowQuery<Value>, _ values: [SQLValue]) async throws -> Value?

    /// Wake-ups between the processes that use this database; nil where there is only this one.
    var wakeUps: (any WakeUps)? { get }

    /// Jobs that wait for a thread of the engine.
    var queues: (reads: Int, writes: Int) { get }

    /// Finishes what was queued, then closes every connection. Later calls fail with `unavailable`.
    func close() async
}

/// A connection inside a transaction, valid only within the closure that received it. A failed statement ends the
/// transaction on every engine: whatever the closure does next fails with the same error.
public protocol SQLConnection: AnyObject {
    /// Runs `sql` and hands over its rows one at a time; returning false stops early.
    func forEach(_ sql: SQL, _ values: [SQLValue], _ body: (Row) throws -> Bool) throws

    /// Runs a statement without a result; returns how many rows it changed.
    @discardableResult
    func execute(_ sql: SQL, _ values: [SQLValue]) throws -> Int

    /// Runs a statement whose result nobody looks at. An engine may send it later, with the next one or the end of the
    /// transaction, which then fails as if it had failed here.
    func post(_ sql: SQL, _ values: [SQLValue]) throws

    /// As ``post(_:_:)`` for a statement that is to change one row: where it does not, the transaction fails with `error`.
    func post(_ sql: SQL, _ values: [SQLValue], orThrow error: any Error) throws

    /// Posts a change of one row; where it does not change one, the transaction fails with `error` unless that is nil.
    /// Transactions that share a commit may run what they post with one statement. Whatever else they run sees it, but for
    /// ``require(_:_:orThrow:)``.
    func post(_ row: RowStatement, _ values: [SQLValue], orThrow error: (any Error)?) throws

    /// A question that has to find a row, as the conditions of a change do: where it finds none, the transaction fails with
    /// `error`, perhaps only at its end.
    func require(_ sql: SQL, _ values: [SQLValue], orThrow error: any Error) throws

    /// Several statements without values, for migrations.
    func executeScript(_ text: String) throws

    /// Prepares a statement without running it.
    func prepare(_ sql: SQL) throws

    /// Rows this transaction has changed so far.
    var changedRows: Int64 { get }

    /// Those it shares its commit with; nil where none can.
    var group: TransactionGroup? { get }
}

/// A question for one row by its key, and how the row is read. Made once and kept, so that the engine may answer with
/// what it read before, if nothing was committed since; it may also ask on the caller's own thread. So the statement must
/// find its row by an index, and `decode` do nothing but that.
public final class RowQuery<Value: Sendable>: Sendable {
    package let sql: SQL
    package let decode: @Sendable (Row) throws -> Value

    public init(_ sql: SQL, decode: @escaping @Sendable (Row) throws -> Value) {
        self.sql = sql
        self.decode = decode
    }
}

extension SQLDatabase {
    @discardableResult
    public func write<Value: Sendable>(
        of organization: OrganizationID,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await write(body)
    }

    public var wakeUps: (any WakeUps)? { nil }

    /// One row by its key; nil: there is no row.
    public func find<Value: Sendable>(_ query: RowQuery<Value>, _ values: (any SQLBindable)?...) async throws -> Value?
    {
        try await find(query, values.map { $0?.sqlValue ?? .null })
    }

    /// Prepares every statement without running it: a start-up and test check for names, placeholders and columns.
    public func check(_ statements: [SQL]) async throws {
        try await read { connection in
            for statement in statements { try connection.prepare(statement) }
        }
    }
}

extension SQLConnection {
    public var group: TransactionGroup? { nil }

    public func post(_ sql: SQL, _ values: [SQLValue]) throws { try execute(sql, values) }

    public func post(_ sql: SQL, _ values: [SQLValue], orThrow error: any Error) throws {
        guard try execute(sql, values) == 1 else { throw error }
    }

    public func post(_ row: RowStatement, _ values: [SQLValue], orThrow error: (any Error)?) throws {
        if let error { try post(row.one, values, orThrow: error) } else { try post(row.one, values) }
    }

    public func require(_ sql: SQL, _ values: [SQLValue], orThrow error: any Error) throws {
        guard try !rows(sql, values: values).isEmpty else { throw error }
    }

    /// Runs a statement whose result nobody looks at.
    public func post(_ sql: SQL, _ values: (any SQLBindable)?...) throws {
        try post(sql, values.map { $0?.sqlValue ?? .null })
    }

    public func rows(_ sql: SQL, values: [SQLValue]) throws -> [Row] {
        var rows: [Row] = []
        try forEach(sql, values) { row in
            rows.append(row)
            return true
        }
        return rows
    }

    public func rows(_ sql: SQL, _ values: (any SQLBindable)?...) throws -> [Row] {
        try rows(sql, values: values.map { $0?.sqlValue ?? .null })
    }

    /// The first row, or nil.
    public func first(_ sql: SQL, _ values: (any SQLBindable)?...) throws -> Row? {
        var found: Row?
        try forEach(sql, values.map { $0?.sqlValue ?? .null }) { row in
            found = found ?? row
            // Stepped to the end, so that a statement with RETURNING completes.
            return true
        }
        return found
    }

    /// Runs a statement without a result; returns how many rows it changed.
    @discardableResult
    public func run(_ sql: SQL, _ values: (any SQLBindable)?...) throws -> Int {
        try execute(sql, values.map { $0?.sqlValue ?? .null })
    }
}

/// What differs between engines.
public protocol SQLDialect: Sendable {
    var name: String { get }

    /// Run first in a transaction that changes the schema: makes those of other processes wait. nil: they wait anyway.
    var schemaLock: String? { get }

    /// A migration's text in this engine's words. Files use `STRICT` tables and the types `TEXT`, `BIGINT`, `INTEGER`
    /// (32 bits are enough), `REAL` and `BLOB`; a table may be `STRICT, WITHOUT ROWID`.
    func migrationText(_ text: String) -> String

    /// An expression: the engine's own clock, in milliseconds since 1970. Leases of several servers are measured by it.
    var now: SQL { get }

    /// Behind a SELECT: the rows that it finds stay as they are until the transaction ends.
    var holdingRows: SQL { get }

    /// Whether several servers may use one database.
    var isShared: Bool { get }

    /// A question: `table_name`, `column_name` and `key_place` (from 1 in the primary key, 0 outside of it) of every
    /// column, in the tables' order of columns.
    var tableColumns: SQL { get }

    /// A question: `table_name` and the `parent` that rows of it refer to.
    var tableParents: SQL { get }
}

extension SQLDialect {
    /// As ``holdingRows``, but passes over rows that another transaction holds: for queues. An engine with one writer has
    /// none.
    public var skippingHeldRows: SQL { isShared ? " FOR UPDATE SKIP LOCKED" : "" }
}
