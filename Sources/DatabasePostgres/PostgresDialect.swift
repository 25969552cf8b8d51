import Database

struct PostgresDialect: SQLDialect {
    var name: String { "postgres" }

    /// The number is Berth's own, for every schema of a database.
    var schemaLock: String? { "SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock(7410001)" }

    var now: SQL { "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)" }
    var holdingRows: SQL { " FOR UPDATE" }
    var isShared: Bool { true }

    func migrationText(_ text: String) -> String {
        text.replacing(") STRICT, WITHOUT ROWID", with: ")").replacing(") STRICT", with: ")")
            .replacing(" TEXT", with: " TEXT COLLATE \"C\"")
            .replacing(" BLOB", with: " BYTEA")
            .replacing(" REAL", with: " DOUBLE PRECISION")
    }

    var tableColumns: SQL {
        """
        SELECT CAST(c.relname AS TEXT) AS table_name, CAST(a.attname AS TEXT) AS column_name,
            COALESCE((
                SELECT k.place FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (number, place)
                WHERE i.indrelid = c.oid AND i.indisprimary AND k.number = a.attnum
            ), 0) AS key_place
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind = 'r' AND c.relnamespace = CAST(current_schema() AS regnamespace) ORDER BY c.relname, a.attnum
        """
    }

    var tableParents: SQL {
        """
        SELECT DISTINCT CAST(c.relname AS TEXT) AS table_name, CAST(p.relname AS TEXT) AS parent
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
        WHERE k.contype = 'f' AND c.relnamespace = CAST(current_schema() AS regnamespace) ORDER BY 1, 2
        """
    }
}
