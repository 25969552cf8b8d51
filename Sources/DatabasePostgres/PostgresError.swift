import Base

/// How a statement or a connection failed, before it is decided what becomes of the transaction.
enum PostgresFailure: Error {
    /// The connection is gone; what it had not committed is undone by the server.
    case lost(BerthError)
    /// The transaction lost to another one and may simply run again.
    case again(BerthError)
    /// A statement that the server stopped on request.
    case stopped(BerthError)
    /// A change inside a reading transaction, or on a standby.
    case readOnly(BerthError)
    /// Anything that running again would not mend.
    case refused(BerthError)

    var error: BerthError {
        switch self {
        case .lost(let error), .again(let error), .stopped(let error), .readOnly(let error),
            .refused(let error):
            error
        }
    }
}

/// SQLSTATE codes as ours (https://www.postgresql.org/docs/15/errcodes-appendix.html).
enum PostgresError {
    static func translate(state: String, text: String, statement: String?) -> PostgresFailure {
        let detail = "postgres \(state): \(text)" + (statement.map { "; statement: \($0.prefix(400))" } ?? "")
        switch state {
        case "23505":
            return .refused(
                BerthError(.conflict, "something with the same identity exists already", detail: detail)
            )
        case _ where mayRunAgain(state, text):
            return .again(
                BerthError(
                    .unavailable,
                    "the database is busy with other changes of the same rows",
                    remedy: "repeat the request",
                    detail: detail,
                    isRetryable: true
                )
            )
        case "57014": return .stopped(BerthError(.timedOut, "a database statement took too long", detail: detail))
        case "53100": return .refused(diskFull(detail))
        case "58030" where text.contains("No space left"): return .refused(diskFull(detail))
        case "22021", "22P05":
            return .refused(
                BerthError(.invalidValue, "text holds bytes that the database cannot store", detail: detail)
            )
        case "25006": return .readOnly(readOnly(detail))
        default:
            if let error = unavailable(state: state, detail: detail) { return .refused(error) }
            if state.isEmpty || state.hasPrefix("08") || state.hasPrefix("57P") { return .lost(lost(detail)) }
            return .refused(BerthError(.internal, "the database refused a statement", detail: detail))
        }
    }

    /// Serialization failure, deadlock, lock timeout, and a prepared plan that a schema change overtook.
    private static func mayRunAgain(_ state: String, _ text: String) -> Bool {
        ["40001", "40P01", "55P03"].contains(state) || state == "0A000" && text.contains("cached plan")
    }

    /// What a person has to change before anything works.
    private static func unavailable(state: String, detail: String) -> BerthError? {
        let (message, remedy): (String, String)
        switch state {
        case "28P01", "28000":
            (message, remedy) = (
                "PostgreSQL refuses the login", "check user and password in `database`, and pg_hba.conf of the server"
            )
        case "3D000":
            (message, remedy) = (
                "PostgreSQL has no such database", "make it with createdb, or correct the name in `database`"
            )
        case "42501":
            (message, remedy) = (
                "PostgreSQL does not allow this user to do that",
                "grant the user all rights on the database and its schema"
            )
        case "53300":
            (message, remedy) = (
                "PostgreSQL has no connection left", "raise max_connections of the server, or stop other clients"
            )
        case "57P03":
            (message, remedy) = ("PostgreSQL is starting or stopping", "wait until it is up")
        default: return nil
        }
        return BerthError(
            .unavailable,
            message,
            field: "database",
            remedy: remedy,
            detail: detail,
            isRetryable: true
        )
    }

    static func readOnly(_ detail: String) -> BerthError {
        BerthError(
            .unavailable,
            "PostgreSQL is read-only",
            field: "database",
            remedy: "point `database` to the primary, not to a standby",
            detail: detail,
            isRetryable: true
        )
    }

    static func diskFull(_ detail: String) -> BerthError {
        BerthError(
            .diskFull,
            "the disk that holds the database is full",
            remedy: "free some space; nothing recorded before is lost, and the request can then be repeated",
            detail: detail,
            isRetryable: true
        )
    }

    static func lost(_ detail: String) -> BerthError {
        BerthError(
            .unavailable,
            "PostgreSQL is not reachable",
            field: "database",
            remedy: "check that it runs; Berth goes on by itself when it is back",
            detail: detail,
            isRetryable: true
        )
    }

    static func unknownOutcome(_ detail: String) -> BerthError {
        BerthError(
            .unavailable,
            "PostgreSQL was lost while it committed, so it is not known whether the change was made",
            remedy: "read before you repeat the request",
            detail: detail,
            isRetryable: true
        )
    }
}
