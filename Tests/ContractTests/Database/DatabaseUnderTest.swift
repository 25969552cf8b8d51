import Base
import Database
import DatabasePostgres
import TestSupport
import Testing

/// An engine in one configuration. A second engine joins the suite by joining ``all``.
struct DatabaseUnderTest: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// An empty database for the length of the closure.
    private let opened: @Sendable (@Sendable (any SQLDatabase) async throws -> Void) async throws -> Void

    static let all = [
        DatabaseUnderTest(testDescription: "SQLite with readers") { body in
            try await withEmptyDatabase { try await body($0) }
        },
        DatabaseUnderTest(testDescription: "SQLite on one connection") { body in
            try await withEmptyDatabase(configure: { $0 = .small(path: $0.path) }) { try await body($0) }
        },
        DatabaseUnderTest(testDescription: "PostgreSQL") { body in
            try await withPostgres { try await body($0) }
        },
        DatabaseUnderTest(testDescription: "PostgreSQL without groups") { body in
            try await withPostgres(configure: { $0.groupLimit = 1 }) { try await body($0) }
        },
    ]

    static let table: SQL = """
        CREATE TABLE items (id TEXT NOT NULL PRIMARY KEY, n BIGINT, r REAL, t TEXT, x BLOB) STRICT
        """

    func open(_ body: @Sendable (any SQLDatabase) async throws -> Void) async throws { try await opened(body) }

    /// A database with the table `items`.
    func withItems(_ body: @Sendable (any SQLDatabase) async throws -> Void) async throws {
        try await open { database in
            let text = database.dialect.migrationText(Self.table.text)
            try await database.write { try $0.executeScript(text) }
            try await body(database)
        }
    }
}

extension SQLDatabase {
    func itemIDs() async throws -> [String] {
        try await read { try $0.rows("SELECT id FROM items ORDER BY id").map { try $0.text("id") } }
    }

    func insertItem(_ id: String, n: Int = 0) async throws {
        try await write { try $0.run("INSERT INTO items (id, n) VALUES ($1, $2)", id, n) }
    }
}
