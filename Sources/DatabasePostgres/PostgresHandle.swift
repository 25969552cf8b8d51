import Base
import CPostgres
import Database
import Glibc

/// One statement with its values.
struct PostgresCommand {
    var sql: SQL
    var values: [SQLValue] = []
    /// The values as libpq takes them, where they were made before.
    var bound: PostgresValues?
    var fence: RowFence?
    /// It changes rows of several transactions.
    var isShared = false

    var valueCount: Int { bound?.count ?? values.count }
}

/// So many rows a command has to change, or to find; else the transaction fails with `error`.
struct RowFence {
    var rows = 1
    var error: any Error
}

/// The first command of an exchange that failed; none after it ran.
struct ExchangeFailure: Error {
    var index: Int
    var failure: PostgresFailure
}

/// Tells whether a running read should stop.
struct PostgresWatch {
    let job: any DatabaseJob
    let deadline: Uptime
}

/// One connection: owned by one thread, always in pipeline mode
/// (https://www.postgresql.org/docs/15/libpq-pipeline-mode.html).
final class PostgresHandle {
    struct Prepared {
        let name: String
        var columns: Columns?
    }

    let pointer: OpaquePointer
    let configuration: PostgresConfiguration
    let time: any TimeSource
    private var prepared: [SQL: Prepared] = [:]
    private var named = 0
    private var valueCounts: [SQL: Int] = [:]
    /// How long the server may take to answer.
    private var patience: Duration
    /// Which run of the server this is; nil where nobody asks. See ``TransactionMark``.
    var serverRun: String?

    /// Takes over a connection that is up.
    init(_ pointer: OpaquePointer, _ configuration: PostgresConfiguration, time: any TimeSource) {
        self.pointer = pointer
        self.configuration = configuration
        self.time = time
        patience = configuration.silenceLimit
    }

    deinit { PQfinish(pointer) }

    var processID: Int32 { PQbackendPID(pointer) }
    var isUp: Bool { PQstatus(pointer) == CONNECTION_OK }
    var hasManyStatements: Bool { prepared.count >= configuration.statements }

    /// The one text that a query answers with.
    func text(_ sql: SQL, _ values: String...) throws -> String? {
        let results = try exchange([PostgresCommand(sql: sql, values: values.map { .text($0) })])
        guard let result = results.first, result.rowCount == 1 else { return nil }
        return try result.row(0, columns(of: sql, result)).optionalText("answer")
    }

    /// Runs commands in order with one round trip; each gets one result. The first that fails ends the exchange.
    func exchange(_ commands: [PostgresCommand], watch: PostgresWatch? = nil) throws -> [PostgresResult] {
        let values = try commands.map { command in
            let count = try valueCount(command.sql)
            guard command.valueCount == count else {
                throw BerthError(
                    .internal,
                    "a SQL statement is called wrongly",
                    detail: "\(count) values expected, \(command.valueCount) given; statement: \(command.sql.text)"
                )
            }
            return try command.bound ?? PostgresValues(command.values)
        }
        var new: [SQL: String] = [:]
        var expected: [(index: Int, preparing: Bool)] = []
        for (index, command) in commands.enumerated() {
            var name = prepared[command.sql]?.name ?? new[command.sql]
            if name == nil {
                named += 1
                let fresh = "s\(named)"
                try sent(PQsendPrepare(pointer, fresh, command.sql.text, 0, nil))
                new[command.sql] = fresh
                name = fresh
                expected.append((index, true))
            }
            try sent(
                values[index].withPointers { count, pointers, lengths, formats in
                    PQsendQueryPrepared(pointer, name, count, pointers, lengths, formats, 1)
                }
            )
            expected.append((index, false))
        }
        try sent(PQpipelineSync(pointer))
        return try collect(expected, commands, new, watch)
    }

    /// Prepares without running.
    func prepare(_ sql: SQL) throws {
        _ = try valueCount(sql)
        guard prepared[sql] == nil else { return }
        named += 1
        try sent(PQsendPrepare(pointer, "s\(named)", sql.text, 0, nil))
        try sent(PQpipelineSync(pointer))
        _ = try collect([(0, true)], [PostgresCommand(sql: sql)], [sql: "s\(named)"], nil)
    }

    /// Several statements without values; outside of pipeline mode, which does not take them. A large table may take an
    /// hour to change.
    func script(_ text: String) throws {
        patience = .seconds(3600)
        defer { patience = configuration.silenceLimit }
        try sent(PQexitPipelineMode(pointer))
        try sent(PQsendQuery(pointer, text))
        var failure: PostgresFailure?
        while let result = try nextResult(nil) {
            if result.status == PGRES_FATAL_ERROR, failure == nil { failure = result.failure(statement: text) }
        }
        guard isUp, PQenterPipelineMode(pointer) == 1 else { throw lost() }
        if let failure { throw ExchangeFailure(index: 0, failure: failure) }
    }

    func columns(of sql: SQL, _ result: PostgresResult) -> Columns {
        if let columns = prepared[sql]?.columns { return columns }
        let columns = result.columns()
        prepared[sql]?.columns = columns
        return columns
    }

    /// After `DEALLOCATE ALL`.
    func forgetStatements() {
        prepared.removeAll()
        valueCounts.removeAll()
    }

    private func valueCount(_ sql: SQL) throws -> Int {
        if let known = valueCounts[sql] { return known }
        let count = try PostgresPlaceholders.count(in: sql.text)
        valueCounts[sql] = count
        return count
    }

    private func collect(
        _ expected: [(index: Int, preparing: Bool)],
        _ commands: [PostgresCommand],
        _ new: [SQL: String],
        _ watch: PostgresWatch?
    ) throws -> [PostgresResult] {
        var results: [PostgresResult] = []
        var failed: ExchangeFailure?
        for (index, preparing) in expected {
            guard let result = try nextResult(watch) else { throw lost() }
            let sql = commands[index].sql
            switch result.status {
            case PGRES_COMMAND_OK where preparing: prepared[sql] = Prepared(name: new[sql] ?? "")
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: results.append(result)
            case PGRES_PIPELINE_ABORTED where failed != nil: break
            default:
                let failure = result.failure(statement: sql.text)
                if case .again = failure { prepared[sql] = nil }
                failed = failed ?? ExchangeFailure(index: index, failure: failure)
                guard isUp else { throw failed ?? lost() }
            }
            // Ends the command's results.
            guard try nextResult(watch) == nil else { throw lost() }
        }
        guard let end = try nextResult(watch), end.status == PGRES_PIPELINE_SYNC else { throw failed ?? lost() }
        if let failed { throw failed }
        return results
    }

    private func sent(_ code: Int32) throws { guard code == 1 else { throw lost() } }

    /// Waits for the next result; nil at the end of a command's.
    private func nextResult(_ watch: PostgresWatch?) throws -> PostgresResult? {
        try arrive(watch)
        return PQgetResult(pointer).map(PostgresResult.init)
    }

    /// Returns when the next result is here. A read that should stop is cancelled on the server, which then answers.
    private func arrive(_ watch: PostgresWatch?) throws {
        var flushing = PQflush(pointer)
        guard PQisBusy(pointer) != 0 || flushing != 0 else { return }
        let silence = time.uptime + patience
        var isStopped = false
        while flushing != 0 || PQisBusy(pointer) != 0 {
            guard flushing >= 0 else { throw lost() }
            guard time.uptime < silence else { throw abandoned() }
            if let watch, !isStopped, watch.job.isCancelled || time.uptime > watch.deadline {
                isStopped = true
                stop()
            }
            // Short enough to hear of a cancelled task soon.
            let ready = wait(writing: flushing == 1, milliseconds: watch == nil ? 1000 : 20)
            if ready, PQconsumeInput(pointer) == 0 { throw lost() }
            if flushing != 0 { flushing = PQflush(pointer) }
        }
    }

    /// Asks the server, over a connection of its own, to end the running statement.
    private func stop() {
        guard let cancel = PQgetCancel(pointer) else { return }
        defer { PQfreeCancel(cancel) }
        var text = [CChar](repeating: 0, count: 256)
        _ = PQcancel(cancel, &text, Int32(text.count))
    }

    func wait(writing: Bool, milliseconds: Int32) -> Bool {
        var descriptor = pollfd(
            fd: PQsocket(pointer),
            events: Int16(writing ? POLLIN | POLLOUT : POLLIN),
            revents: 0
        )
        return poll(&descriptor, 1, milliseconds) > 0
    }

    func lost() -> ExchangeFailure {
        let text = PQerrorMessage(pointer).map { String(cString: $0) } ?? ""
        return ExchangeFailure(index: 0, failure: .lost(PostgresError.lost(text.trimmed)))
    }

    /// The server may still be at it; this side is not.
    private func abandoned() -> ExchangeFailure {
        shutdown(PQsocket(pointer), Int32(SHUT_RDWR))
        return ExchangeFailure(
            index: 0,
            failure: .lost(PostgresError.lost("no answer for \(patience)"))
        )
    }
}
