public import Base

/// The embedded engine: one writer thread with group commit, a few reader threads started on demand.
public final class SQLiteDatabase: SQLDatabase {
    private let configuration: SQLiteConfiguration
    private let time: any TimeSource
    private let writes = JobQueue(threads: 1)
    private let reads = JobQueue(threads: 0)
    private let commits = CommitCount()
    private let finders: SQLiteFinders

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
            throw Self.noThread(error)
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
        try await submit(TypedDatabaseJob(allowsWriting: false, body)) { job in
            if self.configuration.readers > 0 { self.enqueueRead(job) } else { self.enqueueWrite(job) }
        }
    }

    @discardableResult
    public func write<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await submit(TypedDatabaseJob(allowsWriting: true, body), to: enqueueWrite)
    }

    public func close() async {
        finders.close()
        await writes.closeAndWait()
        commits.close()
        await reads.closeAndWait()
    }

    private func submit<Value: Sendable>(
        _ job: TypedDatabaseJob<Value>,
        to enqueue: (any DatabaseJob) -> Void
    ) async throws -> Value {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                if job.park(continuation) {
                    enqueue(job)
                } else {
                    continuation.resume(throwing: CancellationError())
                }
            }
        } onCancel: {
            job.cancel()
        }
    }

    private func enqueueWrite(_ job: any DatabaseJob) {
        if case .closed = writes.push(job, threadLimit: 1) { refuse([job], Self.closed) }
    }

    private func enqueueRead(_ job: any DatabaseJob) {
        switch reads.push(job, threadLimit: configuration.readers) {
        case .taken: return
        case .closed: refuse([job], Self.closed)
        case .takenNeedsThread:
            let reader = SQLiteReader(configuration: configuration, queue: reads, time: time)
            do {
                try startThread { reader.run() }
            } catch {
                reads.threadEnded()
                refuse(reads.take(upTo: .max), Self.noThread(error))
            }
        }
    }

    private func refuse(_ jobs: [any DatabaseJob], _ error: BerthError) {
        for job in jobs where job.begin() { job.finish(error) }
    }

    private static var closed: BerthError {
        BerthError(.unavailable, "the database is closed", isRetryable: true)
    }

    private static func noThread(_ error: ThreadError) -> BerthError {
        BerthError(
            .unavailable,
            "no thread could be started for the database",
            remedy: "raise the limit of processes (ulimit -u)",
            detail: "errno \(error.code)",
            isRetryable: true
        )
    }
}

/// STRICT tables know INTEGER (64 bits) and no BIGINT.
struct SQLiteDialect: SQLDialect {
    var name: String { "sqlite" }
    func migrationText(_ text: String) -> String { text.replacing("BIGINT", with: "INTEGER") }
    var now: SQL { "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)" }
    /// A writing transaction holds the whole file.
    var holdingRows: SQL { "" }
    var isShared: Bool { false }
}
