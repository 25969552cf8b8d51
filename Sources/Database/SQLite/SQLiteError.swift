import Base
import CSQLite
import Glibc

/// SQLite's result codes as ours (https://sqlite.org/rescode.html).
enum SQLiteError {
    /// `systemError` is errno of the failed call, 0 when there is none.
    static func translate(extended: Int32, systemError: Int32, text: String, statement: String?) -> BerthError {
        let detail =
            "sqlite \(extended)\(systemError == 0 ? "" : ", errno \(systemError)"): \(text)"
            + (statement.map { "; statement: \($0.prefix(400))" } ?? "")
        if systemError == ENOSPC || systemError == EDQUOT || extended & 0xFF == SQLITE_FULL {
            return BerthError(
                .diskFull,
                "the disk that holds the database is full",
                remedy: "free some space; nothing recorded before is lost, and the request can then be repeated",
                detail: detail,
                isRetryable: true
            )
        }
        switch extended & 0xFF {
        case SQLITE_BUSY, SQLITE_LOCKED:
            return BerthError(
                .unavailable,
                "the database is locked by another program",
                remedy: "close other programs that write to it",
                detail: detail,
                isRetryable: true
            )
        case SQLITE_CONSTRAINT where isUnique(extended):
            return BerthError(.conflict, "something with the same identity exists already", detail: detail)
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return BerthError(
                .internal,
                "the database file is damaged",
                remedy: "stop the server and restore the file from a backup",
                detail: detail
            )
        case SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM:
            return BerthError(
                .unavailable,
                "the database file cannot be opened for writing: \(text)",
                remedy: "check that the data directory exists, its owner and its mode",
                detail: detail
            )
        default:
            return BerthError(.internal, "the database refused a statement", detail: detail)
        }
    }

    // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE and _ROWID; the macros use arithmetic that Swift does not import.
    private static func isUnique(_ extended: Int32) -> Bool {
        [6, 8, 10].contains(extended >> 8)
    }
}
