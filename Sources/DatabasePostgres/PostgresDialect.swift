import Database

struct PostgresDialect: SQLDialect {
    var name: String { "postgres" }

    /// The number is Berth's own, for every schema of a database.
    var schemaLock: String? { "SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock(7410001)" }

    var now: SQL { "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)" }
    var holdingRows: SQL { " FOR UPDATE" }
    var isShared: Bool { true }

    func migrationText(_ text: String) -> String {
        text.replacing(") STRICT", with: ")")
            .replacing(" TEXT", with: " TEXT COLLATE \"C\"")
            .replacing(" BLOB", with: " BYTEA")
            .replacing(" REAL", with: " DOUBLE PRECISION")
    }
}
