/// STRICT tables know INTEGER (64 bits) and no BIGINT.
package struct SQLiteDialect: SQLDialect {
    package init() {}

    package var name: String { "sqlite" }
    package var schemaLock: String? { nil }
    package func migrationText(_ text: String) -> String { text.replacing("BIGINT", with: "INTEGER") }
    package var now: SQL { "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)" }
    /// A writing transaction holds the whole file.
    package var holdingRows: SQL { "" }
    package var isShared: Bool { false }

    package var tableColumns: SQL {
        """
        SELECT m.name AS table_name, c.name AS column_name, c.pk AS key_place
        FROM sqlite_schema m JOIN pragma_table_info(m.name) c
        WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, c.cid
        """
    }

    package var tableParents: SQL {
        """
        SELECT DISTINCT m.name AS table_name, f."table" AS parent
        FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY 1, 2
        """
    }
}
