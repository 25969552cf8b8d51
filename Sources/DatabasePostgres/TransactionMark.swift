import Database

/// What tells later what became of a transaction.
///
/// The number alone does not: what a crash of the server lost with its unwritten log may include that a number was ever
/// given out, and recovery gives it out again, to a transaction that commits. The position in the log decides: the
/// transaction had written what it bears its number in before `position`, and its COMMIT comes behind it. Where the
/// log was recovered up to `position` or further, the number is known and tells the truth; else the COMMIT is not in it.
/// ``ServerRuns`` remembers how far that was, each time.
struct TransactionMark: Equatable {
    /// `xid8`.
    var id: String
    /// `pg_lsn`: the end of the log after the first statement that changed something.
    var position: String
    /// Of the server's run that gave out the number.
    var run: String

    /// Asked in the transaction.
    static let query: SQL = """
        SELECT CAST(pg_current_xact_id_if_assigned() AS TEXT) AS id, CAST(pg_current_wal_insert_lsn() AS TEXT) AS position
        """

    /// Changes with every start of the server, and with every crash of one of its processes, which discards statistics.
    static let runQuery: SQL = """
        SELECT CAST(pg_postmaster_start_time() AS TEXT) || ' ' || COALESCE(CAST(stats_reset AS TEXT), '') AS answer
        FROM pg_stat_bgwriter
        """

    static let statusQuery: SQL = """
        SELECT pg_xact_status(CAST(CAST($1 AS TEXT) AS xid8)) AS answer
        """

    /// Recovery ends with a checkpoint right behind the log that it found; one taken later begins before itself, and
    /// then nothing is answered.
    static let recoveredQuery: SQL = """
        SELECT CASE WHEN redo_lsn = checkpoint_lsn THEN CAST(checkpoint_lsn AS TEXT) END AS answer
        FROM pg_control_checkpoint()
        """

    init(id: String, position: String, run: String) {
        self.id = id
        self.position = position
        self.run = run
    }

    init?(_ row: Row, run: String?) throws {
        guard let id = try row.optionalText("id"), let run else { return nil }
        self.id = id
        position = try row.text("position")
        self.run = run
    }
}
