import Base
import CSQLite
import Synchronization

/// Connections for reads by key, used on the caller's own thread: such a read takes a few microseconds, a visit to
/// another thread many more, and a row that was found since the last commit none. They wait for no lock; what cannot be read at once goes to the readers' queue.
final class SQLiteFinders: Sendable {
    private struct State {
        var idle: [SQLiteHandle] = []
        var open = 0
        var isClosed = false
    }

    /// Steps of SQLite's machine after which a statement is none of those meant here.
    private static let stepLimit: Int32 = 1_000_000
    private let configuration: SQLiteConfiguration
    private let state = Mutex(State())
    private let rows = FoundRows()
    private let commits: CommitCount

    init(_ configuration: SQLiteConfiguration, commits: CommitCount) {
        self.commits = commits
        var own = configuration
        own.busyLimit = .zero
        self.configuration = own
    }

    /// nil where the readers have to do it: no connection is free, or somebody holds a lock.
    func find<Value>(_ query: RowQuery<Value>, _ values: [SQLValue]) throws -> FoundRow<Value>? {
        let commits = self.commits.count
        if let commits, let known = rows.row(query, values, since: commits) { return known }
        guard let handle = take() else { return nil }
        defer { put(handle) }
        do {
            let found = FoundRow(query, try Self.find(query, values, on: handle))
            if let commits { rows.keep(found, values, since: commits) }
            return found
        } catch let error as BerthError where error.code == .unavailable && error.isRetryable {
            return nil
        }
    }

    private static func find<Value>(_ query: RowQuery<Value>, _ values: [SQLValue], on handle: SQLiteHandle) throws
        -> Value?
    {
        let statement = try handle.statement(query.sql)
        guard statement.isReadOnly else {
            throw BerthError.readThatWrites(query.sql.text)
        }
        // Outside of any transaction: the statement is a snapshot of its own, which ends with it.
        statement.begin()
        defer { statement.end() }
        try handle.require(try statement.bind(values), statement: query.sql.text)
        switch statement.step() {
        case SQLITE_ROW: return try query.decode(try statement.row())
        case SQLITE_DONE: return nil
        case let code: throw handle.error(code, statement: query.sql.text)
        }
    }

    func close() {
        let idle = state.withLock { state in
            defer { state.idle = [] }
            state.isClosed = true
            return state.idle
        }
        // The connections close here, outside of the lock.
        _ = consume idle
    }

    private func take() -> SQLiteHandle? {
        let (handle, mayOpen) = state.withLock { state -> (SQLiteHandle?, Bool) in
            guard !state.isClosed, configuration.finders > 0 else { return (nil, false) }
            if let handle = state.idle.popLast() { return (handle, false) }
            guard state.open < configuration.finders else { return (nil, false) }
            state.open += 1
            return (nil, true)
        }
        guard mayOpen else { return handle }
        do {
            let handle = try SQLiteHandle(configuration, cacheKiB: configuration.readerCacheKiB)
            handle.limitSteps(Self.stepLimit)
            return handle
        } catch {
            // The readers will say what is wrong, if it still is.
            state.withLock { $0.open -= 1 }
            return nil
        }
    }

    private func put(_ handle: SQLiteHandle) {
        state.withLock { state in
            if state.isClosed { state.open -= 1 } else { state.idle.append(handle) }
        }
    }
}
