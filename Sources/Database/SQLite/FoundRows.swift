import Synchronization

/// Counts the commits of a database whose only writer is this process, so that others know whether a row that they
/// read is still the row.
final class CommitCount: Sendable {
    /// Odd while a commit is under way.
    private let value = Atomic<UInt64>(0)

    /// nil while a commit is under way: then nobody knows whether a reader sees it.
    var count: UInt64? {
        let now = value.load(ordering: .sequentiallyConsistent)
        return now.isMultiple(of: 2) ? now : nil
    }

    /// Nothing that was read holds any more.
    func close() { value.wrappingAdd(1, ordering: .sequentiallyConsistent) }

    /// Around every COMMIT, on the writer's thread.
    func commit(_ body: () throws -> Void) rethrows {
        value.wrappingAdd(1, ordering: .sequentiallyConsistent)
        defer { value.wrappingAdd(1, ordering: .sequentiallyConsistent) }
        try body()
    }
}

/// What a question found; nil if there is no such row. Keeps the question, whose identity stands for it.
final class FoundRow<Value: Sendable>: Sendable {
    let query: RowQuery<Value>
    let value: Value?

    init(_ query: RowQuery<Value>, _ value: Value?) {
        self.query = query
        self.value = value
    }
}

/// Rows as they were read, all from the same state of the database: with the next commit they are forgotten, whatever it
/// changed. For what many clients ask for again and again.
final class FoundRows: Sendable {
    private struct Lookup: Hashable {
        let query: ObjectIdentifier
        let values: [SQLValue]
    }

    private struct State {
        var commits: UInt64 = 0
        var rows: [Lookup: any AnyObject & Sendable] = [:]
    }

    private static let capacity = 256
    private let state = Mutex(State())

    /// - Parameter commits: the count before the question.
    func row<Value>(_ query: RowQuery<Value>, _ values: [SQLValue], since commits: UInt64) -> FoundRow<Value>? {
        let lookup = Lookup(query: ObjectIdentifier(query), values: values)
        return state.withLock { $0.commits == commits ? $0.rows[lookup] : nil } as? FoundRow<Value>
    }

    /// - Parameter commits: the count before the row was read.
    func keep<Value>(_ found: FoundRow<Value>, _ values: [SQLValue], since commits: UInt64) {
        state.withLock { state in
            guard commits >= state.commits else { return }
            if commits > state.commits || state.rows.count >= Self.capacity {
                state.rows.removeAll(keepingCapacity: true)
                state.commits = commits
            }
            state.rows[Lookup(query: ObjectIdentifier(found.query), values: values)] = found
        }
    }
}
