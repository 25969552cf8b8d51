/// How a SQLite file is opened. WAL, `synchronous=FULL`, foreign keys on, always.
public struct SQLiteConfiguration: Sendable {
    /// The database file; made with mode 0600 when missing. Its directory must exist.
    public var path: String
    /// Reading threads, started when needed. 0 lets reads share the writer's connection.
    public var readers: Int
    /// Connections for reads by key on the callers' own threads.
    public var finders: Int
    /// Page cache of the writer, and of each reader.
    public var writerCacheKiB: Int
    public var readerCacheKiB: Int
    /// Prepared statements kept by each connection.
    public var statements: Int
    /// The write-ahead log is cut back to this size after a checkpoint.
    public var logLimitBytes: Int
    /// Transactions that share one fsync at most.
    public var groupLimit: Int
    /// How long a read may run.
    public var readLimit: Duration
    /// How long to wait for a lock held by another process.
    public var busyLimit: Duration

    public init(
        path: String,
        readers: Int = 2,
        finders: Int = 4,
        writerCacheKiB: Int = 2048,
        readerCacheKiB: Int = 512,
        statements: Int = 128,
        logLimitBytes: Int = 16 << 20,
        groupLimit: Int = 128,
        readLimit: Duration = .seconds(1),
        busyLimit: Duration = .seconds(5)
    ) {
        self.path = path
        self.readers = min(max(readers, 0), 32)
        self.finders = min(max(finders, 0), 32)
        self.writerCacheKiB = writerCacheKiB
        self.readerCacheKiB = readerCacheKiB
        self.statements = statements
        self.logLimitBytes = logLimitBytes
        self.groupLimit = groupLimit
        self.readLimit = readLimit
        self.busyLimit = busyLimit
    }

    /// One thread and small caches, for a worker that should stay under a few megabytes.
    public static func small(path: String) -> SQLiteConfiguration {
        SQLiteConfiguration(
            path: path,
            readers: 0,
            finders: 0,
            writerCacheKiB: 256,
            statements: 48,
            logLimitBytes: 1 << 20
        )
    }
}
