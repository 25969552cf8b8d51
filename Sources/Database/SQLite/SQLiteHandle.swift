import Base
import CSQLite
import Glibc

/// Owns one `sqlite3*` and its prepared statements.
///
/// Unchecked: opened without SQLite's own mutexes, so only one thread at a time may use it. `SQLiteDatabase` opens the
/// writer's and gives it to the writer thread; each reader thread opens its own; a finder's is taken
/// for one statement and put back, both under a lock. Nothing else holds a reference.
package final class SQLiteHandle: @unchecked Sendable {
    private let pointer: OpaquePointer
    private let statementLimit: Int
    private var statements: [SQL: SQLiteStatement] = [:]

    package init(_ configuration: SQLiteConfiguration, cacheKiB: Int) throws {
        Self.configured
        try Self.create(configuration.path)
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let code = sqlite3_open_v2(configuration.path, &opened, flags, nil)
        guard code == SQLITE_OK, let opened else {
            let text = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            let systemError = opened.map { sqlite3_system_errno($0) } ?? 0
            sqlite3_close_v2(opened)
            throw SQLiteError.translate(
                extended: code,
                systemError: systemError,
                text: "\(text): \(configuration.path)",
                statement: nil
            )
        }
        pointer = opened
        statementLimit = configuration.statements
        sqlite3_busy_timeout(opened, Int32(clamping: configuration.busyLimit.wholeMilliseconds))
        try require(berth_sqlite_strict_quotes(opened), statement: nil)
        try requireWriteAheadLog()
        for pragma in [
            "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY",
            "cache_size = -\(cacheKiB)", "journal_size_limit = \(configuration.logLimitBytes)",
            "trusted_schema = OFF",
            // The log begins again before it outgrows its limit: cut back, it would grow anew with every commit, and a
            // commit that makes a file longer takes half as long again. Seldom, because it brings two files to the disk.
            "wal_autocheckpoint = \(min(3000, max(64, configuration.logLimitBytes / 4120)))",
        ] {
            try script("PRAGMA \(pragma)")
        }
    }

    deinit {
        for statement in statements.values { statement.finalize() }
        sqlite3_close_v2(pointer)
    }

    /// Before the first connection: without counts of its memory SQLite takes no lock of all threads for every allocation.
    private static let configured: Void = { _ = berth_sqlite_keep_no_counts() }()

    /// Made first, so that the file is private from its first moment; SQLite gives its log the same mode.
    private static func create(_ path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw SQLiteError.translate(
                extended: SQLITE_CANTOPEN,
                systemError: errno,
                text: "open \(path)",
                statement: nil
            )
        }
        close(descriptor)
    }

    /// SQLite answers with another mode, and no error, where shared memory cannot work.
    private func requireWriteAheadLog() throws {
        let statement = try statement("PRAGMA journal_mode = WAL")
        defer { statement.end() }
        let code = statement.step()
        guard code == SQLITE_ROW else { throw error(code, statement: "PRAGMA journal_mode = WAL") }
        guard try statement.row().text("journal_mode") == "wal" else {
            throw BerthError(
                .unavailable,
                "the file system of the data directory cannot hold a SQLite write-ahead log",
                remedy: "put the data directory on a local disk"
            )
        }
    }

    package var isInTransaction: Bool { sqlite3_get_autocommit(pointer) == 0 }
    var totalChanges: Int64 { sqlite3_total_changes64(pointer) }
    var changes: Int { Int(sqlite3_changes64(pointer)) }

    func script(_ text: String) throws {
        try require(sqlite3_exec(pointer, text, nil, nil, nil), statement: text)
    }

    /// A transaction statement: no values, no rows.
    package func control(_ sql: SQL) throws {
        let statement = try statement(sql)
        let code = statement.step()
        statement.end()
        guard code == SQLITE_DONE else { throw error(code, statement: sql.text) }
    }

    /// The prepared form of `sql`, from the cache when it is there.
    func statement(_ sql: SQL) throws -> SQLiteStatement {
        if let known = statements[sql] { return known }
        var prepared: OpaquePointer?
        var text = sql.text
        let code = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                sqlite3_prepare_v3(
                    pointer,
                    characters.baseAddress,
                    Int32(clamping: characters.count),
                    UInt32(SQLITE_PREPARE_PERSISTENT),
                    &prepared,
                    nil
                )
            }
        }
        try require(code, statement: sql.text)
        guard let prepared else { throw BerthError(.internal, "an empty SQL statement") }
        let statement: SQLiteStatement
        do {
            statement = try SQLiteStatement(prepared, text: sql.text)
        } catch {
            sqlite3_finalize(prepared)
            throw error
        }
        if statements.count >= statementLimit { dropStatements() }
        statements[sql] = statement
        return statement
    }

    /// Called with no statement running: statements are stepped to the end, or reset, before the next is prepared,
    /// except by nested `forEach`, whose outer statement is marked busy and stays.
    private func dropStatements() {
        statements = statements.filter { _, statement in
            if statement.isBusy { return true }
            statement.finalize()
            return false
        }
    }

    /// `check` runs every few thousand steps of a statement; true stops it.
    func watch(_ watcher: StatementWatcher?) {
        guard let watcher else { return sqlite3_progress_handler(pointer, 0, nil, nil) }
        // Unretained: the caller clears the handler before it lets go of the watcher.
        sqlite3_progress_handler(
            pointer,
            4000,
            { context in
                guard let context else { return 0 }
                return Unmanaged<StatementWatcher>.fromOpaque(context).takeUnretainedValue().shouldStop ? 1 : 0
            },
            Unmanaged.passUnretained(watcher).toOpaque()
        )
    }

    /// Interrupts each statement after about `steps` steps.
    func limitSteps(_ steps: Int32) { sqlite3_progress_handler(pointer, steps, { _ in 1 }, nil) }

    func require(_ code: Int32, statement: @autoclosure () -> String?) throws {
        guard code != SQLITE_OK else { return }
        throw error(code, statement: statement())
    }

    func error(_ code: Int32, statement: String?) -> BerthError {
        SQLiteError.translate(
            extended: code,
            systemError: sqlite3_system_errno(pointer),
            text: String(cString: sqlite3_errmsg(pointer)),
            statement: statement
        )
    }
}

/// Tells whether a running read should stop: its task was cancelled, or its time is up.
final class StatementWatcher {
    private let job: any DatabaseJob
    private let time: any TimeSource
    private let deadline: Uptime

    init(job: any DatabaseJob, time: any TimeSource, limit: Duration) {
        self.job = job
        self.time = time
        deadline = time.uptime + limit
    }

    var isLate: Bool { time.uptime > deadline }
    var shouldStop: Bool { job.isCancelled || isLate }
}
