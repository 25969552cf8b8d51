import Base
import CPostgres
import Database
import Glibc

extension PostgresHandle {
    enum Role { case writer, reader, listener }

    /// Blocks until the connection is up, at most `connectLimit`.
    static func connect(_ configuration: PostgresConfiguration, _ role: Role, time: any TimeSource) throws
        -> PostgresHandle
    {
        // Before the URL: what it may change. After it: what it may not.
        let parameters: [(String, String)] = [
            ("target_session_attrs", "read-write"), ("keepalives_idle", "30"), ("keepalives_interval", "10"),
            ("keepalives_count", "3"), ("tcp_user_timeout", "20000"), ("fallback_application_name", "berth"),
            ("gssencmode", "disable"), ("dbname", configuration.url.reveal()), ("client_encoding", "UTF8"),
        ]
        let pointer = withCStrings(parameters.map(\.0)) { names in
            withCStrings(parameters.map(\.1)) { values in PQconnectStartParams(names, values, 1) }
        }
        guard let pointer else { throw PostgresFailure.lost(PostgresError.lost("out of memory")) }
        let handle = PostgresHandle(pointer, configuration, time: time)
        try handle.finishConnecting()
        try handle.begin(role)
        return handle
    }

    private func finishConnecting() throws {
        // Puts the SQLSTATE into the one text that libpq keeps of a refused connection.
        PQsetErrorVerbosity(pointer, PQERRORS_VERBOSE)
        // Notices would go to the standard error.
        PQsetNoticeProcessor(pointer, { _, _ in }, nil)
        let deadline = time.uptime + configuration.connectLimit
        guard PQstatus(pointer) != CONNECTION_BAD else { throw refused() }
        // libpq wants to be asked first when the socket can be written.
        var isWriting = true
        while true {
            let left = (deadline - time.uptime).wholeMilliseconds
            guard left > 0 else {
                throw PostgresFailure.lost(PostgresError.lost("no connection within \(configuration.connectLimit)"))
            }
            guard waitForConnection(writing: isWriting, milliseconds: Int32(clamping: left)) else { continue }
            switch PQconnectPoll(pointer) {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: isWriting = false
            case PGRES_POLLING_WRITING: isWriting = true
            default: throw refused()
            }
        }
    }

    private func waitForConnection(writing: Bool, milliseconds: Int32) -> Bool {
        var descriptor = pollfd(fd: PQsocket(pointer), events: Int16(writing ? POLLOUT : POLLIN), revents: 0)
        return poll(&descriptor, 1, milliseconds) > 0
    }

    private func refused() -> PostgresFailure {
        let text = PQerrorMessage(pointer).map { String(cString: $0) } ?? ""
        var state = ""
        // Of several hosts, what the last one said.
        if let mark = text.split(separator: "FATAL:  ").last, mark.count < text.count { state = String(mark.prefix(5)) }
        let line = text.split(separator: "\n").prefix { !$0.hasPrefix("LOCATION") }.joined(separator: "; ")
        if state.isEmpty, text.contains("read-only") { return .readOnly(PostgresError.readOnly(line)) }
        return PostgresError.translate(state: state, text: line, statement: nil)
    }

    /// Checks what Berth relies on and sets what its sessions need.
    private func begin(_ role: Role) throws {
        guard PQserverVersion(pointer) >= 130_000 else {
            throw PostgresFailure.refused(
                BerthError(
                    .unsupported,
                    "the PostgreSQL server is older than version 13",
                    field: "database",
                    remedy: "upgrade it",
                    detail: "version \(PQserverVersion(pointer))"
                )
            )
        }
        guard PQparameterStatus(pointer, "server_encoding").map({ String(cString: $0) }) == "UTF8" else {
            throw PostgresFailure.refused(
                BerthError(
                    .unsupported,
                    "the PostgreSQL database is not in UTF-8",
                    field: "database",
                    remedy: "make it with: createdb --encoding UTF8 --template template0 NAME"
                )
            )
        }
        guard PQsetnonblocking(pointer, 1) == 0, PQenterPipelineMode(pointer) == 1 else { throw lost() }
        try script(Self.setting(role))
        if role == .writer { serverRun = try text(TransactionMark.runQuery) }
    }

    private static func setting(_ role: Role) -> String {
        var text = """
            SET lock_timeout = '250ms';
            SET idle_in_transaction_session_timeout = '60s';
            SET standard_conforming_strings = on;
            SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
            """
        switch role {
        case .writer:
            // What writes finds its rows by their keys. The planner, which may have seen the table when it was small, would
            // read it all to change sixty rows, and compile the statement that does so; so reading a row is dear.
            text += """
                SET default_transaction_isolation = 'read committed'; SET enable_seqscan = off; SET enable_hashjoin = off;
                SET enable_mergejoin = off; SET enable_bitmapscan = off; SET cpu_tuple_cost = 1; SET jit = off;
                """
        case .reader:
            text += "SET default_transaction_isolation = 'repeatable read'; SET default_transaction_read_only = on;"
        case .listener: text += "SET default_transaction_read_only = on;"
        }
        return text
    }

    private static func withCStrings<Value>(_ texts: [String], _ body: ([UnsafePointer<CChar>?]) -> Value) -> Value {
        let copies = texts.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies.map { UnsafePointer($0) } + [nil])
    }
}
