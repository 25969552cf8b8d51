public import Base
import CSQLite

/// The embedded engine: one writer thread with group commit, a few reader threads started on demand.
public final class SQLiteDatabase: SQLDatabase {
    private let configuration: SQLiteConfiguration
    private let time: any TimeSource
    private let writes = JobQueue(threads: 1)
    private let reads = JobQueue(threads: 0)
    private let commits = CommitCount()
    private let finders: SQLiteFinders

    /// Such as `3.40.1`.
    public static var libraryVersion: String { String(cString: sqlite3_libversion()) }

    public let dialect: any SQLDialect = SQLiteDialect()

    /// Opens the file, or makes it; blocks for about a millisecond.
    public init(_ configuration: SQLiteConfiguration, time: any TimeSource) throws {
        self.configuration = configuration
        self.time = time
        finders = SQLiteFinders(configuration, commits: commits)
        let handle = try SQLiteHandle(configuration, cacheKiB: configuration.writerCacheKiB)
        let writes = writes
        let commits = commits
        do {
            try startThread {
                SQLiteWriter(
                    handle: handle,
                    queue: writes,
                    commits: commits,
                    groupLimit: configuration.groupLimit,
                    readLimit: configuration.readLimit,
                    time: time
                ).run()
            }
        } catch {
            throw BerthError.noDatabaseThread(error)
        }
    }

    deinit {
        writes.close()
        reads.close()
    }

    public var queues: (reads: Int, writes: Int) { (reads.depth, writes.depth) }

    public func find<Value: Sendable>(_ query: RowQuery<Value>, _ values: [SQLValue]) async throws -> Value? {
        if let found = try finders.find(query, values) { return found.value }
        return try await read { connection in
            var value: Value?
            try connection.forEach(query.sql, values) { row in
                value = try query.decode(row)
                return false
            }
            return value
        }
    }

    public func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await TypedDatabaseJob(allowsWriting: false, body).value { job in
            if self.configuration.readers > 0 { self.enqueueRead(job) } else { self.enqueueWrite(job) }
        }
    }

    @discardableResult
    public func write<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await TypedDatabaseJob(allowsWriting: true, body).value(enqueueWrite)
    }

    public func close() async {
        finders.close()
        await writes.closeAndWait()
        commits.close()
        await reads.closeAndWait()
    }

    private func enqueueWrite(_ job: any DatabaseJob) {
        if case .closed = writes.push(job, threadLimit: 1) { job.refuse(.databaseClosed) }
    }

    private func enqueueRead(_ job: any DatabaseJob) {
        switch reads.push(job, threadLimit: configuration.readers) {
        case .taken: return
        case .closed: job.refuse(.databaseClosed)
        case .takenNeedsThread:
            let reader = SQLiteReader(configuration: configuration, queue: reads, time: time)
            do {
                try startThread { reader.run() }
            } catch {
                reads.threadEnded()
                for job in reads.take(upTo: .max) { job.refuse(.noDatabaseThread(error)) }
            }
        }
    }
}
