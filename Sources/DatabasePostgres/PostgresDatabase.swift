public import Base
public import Database
import Synchronization

/// The PostgreSQL engine: some connections that write, with group commit, some that read, one for wake-ups; each owned by
/// one thread, made when needed and made again when lost.
public final class PostgresDatabase: SQLDatabase {
    private let configuration: PostgresConfiguration
    private let time: any TimeSource
    private let lanes: [JobQueue]
    private let places: WriterLanes
    private let reads = JobQueue(threads: 0)
    private let notices: PostgresWakeUps

    public let dialect: any SQLDialect = PostgresDialect()
    public var wakeUps: (any WakeUps)? { notices }

    /// Does not connect yet.
    public init(_ configuration: PostgresConfiguration, time: any TimeSource) throws {
        self.configuration = configuration
        self.time = time
        lanes = (0..<configuration.writers).map { _ in JobQueue(threads: 0) }
        places = WriterLanes(count: configuration.writers)
        notices = try PostgresWakeUps(configuration, time: time)
    }

    deinit {
        for lane in lanes { lane.close() }
        reads.close()
        notices.close()
    }

    /// What the server calls itself, such as `15.4`. For those who set it up: a failure's message says what libpq said.
    public func serverVersion() async throws -> String {
        let version: SQL = "SELECT current_setting('server_version') AS version"
        do {
            return try await read { try $0.first(version)?.text("version") ?? "" }
        } catch var error as BerthError {
            if let detail = error.detail { error.message += ": \(detail)" }
            throw error
        }
    }

    public var queues: (reads: Int, writes: Int) { (reads.depth, lanes.reduce(0) { $0 + $1.depth }) }

    public func find<Value: Sendable>(_ query: RowQuery<Value>, _ values: [SQLValue]) async throws -> Value? {
        let job = TypedDatabaseJob(allowsWriting: false, isLookup: true) { connection -> Value? in
            var value: Value?
            try connection.forEach(query.sql, values) { row in
                value = try query.decode(row)
                return false
            }
            return value
        }
        return try await job.value(enqueueRead)
    }

    public func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await TypedDatabaseJob(allowsWriting: false, body).value(enqueueRead)
    }

    @discardableResult
    public func write<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await TypedDatabaseJob(allowsWriting: true, body).value { enqueue($0, lane: 0) }
    }

    @discardableResult
    public func write<Value: Sendable>(
        of organization: OrganizationID,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        let lane = places.enter(organization)
        defer { places.leave(organization) }
        return try await TypedDatabaseJob(allowsWriting: true, body).value { enqueue($0, lane: lane) }
    }

    public func close() async {
        for lane in lanes { await lane.closeAndWait() }
        await reads.closeAndWait()
        notices.close()
    }

    private func enqueue(_ job: any DatabaseJob, lane: Int) {
        let (configuration, time) = (configuration, time)
        push(job, to: lanes[lane], threadLimit: 1) { queue in
            PostgresWriter(configuration: configuration, queue: queue, time: time).run()
        }
    }

    private func enqueueRead(_ job: any DatabaseJob) {
        let (configuration, time) = (configuration, time)
        push(job, to: reads, threadLimit: configuration.readers) { queue in
            PostgresReader(configuration: configuration, queue: queue, time: time).run()
        }
    }

    private func push(
        _ job: any DatabaseJob,
        to queue: JobQueue,
        threadLimit: Int,
        _ run: @escaping @Sendable (JobQueue) -> Void
    ) {
        switch queue.push(job, threadLimit: threadLimit) {
        case .taken: return
        case .closed: job.refuse(.databaseClosed)
        case .takenNeedsThread:
            do {
                try startThread { run(queue) }
            } catch {
                queue.threadEnded()
                for job in queue.take(upTo: .max) { job.refuse(.noDatabaseThread(error)) }
            }
        }
    }
}
