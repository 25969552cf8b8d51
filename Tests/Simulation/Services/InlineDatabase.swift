import Base
import Database
import Domain
import FoundationEssentials
import Glibc
import Migrations

/// A SQLite file in memory with the control plane's schema. All of a schedule happens inside one transaction that is rolled
/// back at its end, so that every schedule begins with the same rows at no cost.
///
/// Unchecked: used on one thread only.
final class ScheduleStore: @unchecked Sendable {
    let directory: String
    let handle: SQLiteHandle
    let organization: OrganizationID
    let user: UserID

    init() throws {
        var template = Array("/dev/shm/berth-simulation-XXXXXX".utf8CString)
        guard template.withUnsafeMutableBufferPointer({ $0.baseAddress.flatMap { mkdtemp($0) } != nil }) else {
            throw BerthError(.internal, "no directory for the simulation in /dev/shm")
        }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let configuration = SQLiteConfiguration(path: directory + "/berth.sqlite", statements: 512)
        handle = try SQLiteHandle(configuration, cacheKiB: 8192)
        let ids = IDSource(time: SystemTime(), randomness: SeededRandomness(seed: 3))
        (organization, user) = (ids.make(), ids.make())
        let connection = SQLiteConnection(handle, allowsWriting: true)
        for migration in ServerSchema.migrations {
            try connection.executeScript(SQLiteDialect().migrationText(migration.sql))
        }
        try connection.run(Self.insertOrganization, organization, 0)
        try connection.run(Self.insertFeed, organization)
        try connection.run(Self.insertUser, user, 0)
        connection.end()
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func begin() throws { try handle.control("BEGIN IMMEDIATE") }

    func rollBack() { if handle.isInTransaction { try? handle.control("ROLLBACK") } }

    /// Outside of any transaction of the services'.
    func look<Value>(_ body: (any SQLConnection) throws -> Value) throws -> Value {
        let connection = SQLiteConnection(handle, allowsWriting: false)
        defer { connection.end() }
        return try body(connection)
    }

    private static let insertOrganization: SQL =
        "INSERT INTO organizations (id, name, created_at) VALUES ($1, 'simulated', $2)"
    private static let insertFeed: SQL = "INSERT INTO feed (organization_id, seq) VALUES ($1, 0)"
    private static let insertUser: SQL = "INSERT INTO users (id, name, created_at) VALUES ($1, 'simulated', $2)"
}

/// The store as one life of the server's process sees it. A transaction runs at once, on the caller's thread; before and
/// after it the process may end, and others of its tasks may come first.
struct InlineDatabase: SQLDatabase {
    let store: ScheduleStore
    let process: SimProcess
    let committed: @Sendable () -> Void

    var dialect: any SQLDialect { SQLiteDialect() }
    var queues: (reads: Int, writes: Int) { (0, 0) }
    func close() async {}

    func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await process.effect()
        let connection = SQLiteConnection(store.handle, allowsWriting: false)
        defer { connection.end() }
        return try body(connection)
    }

    func write<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await process.effect()
        try process.requireStorage()
        let value = try transaction(body)
        committed()
        // Committed; whether its caller ever hears of it is another matter.
        try await process.effect()
        return value
    }

    func find<Value: Sendable>(_ query: RowQuery<Value>, _ values: [SQLValue]) async throws -> Value? {
        try await read { connection in
            var value: Value?
            try connection.forEach(query.sql, values) { row in
                value = try query.decode(row)
                return false
            }
            return value
        }
    }

    private func transaction<Value>(_ body: (any SQLConnection) throws -> Value) throws -> Value {
        let connection = SQLiteConnection(store.handle, allowsWriting: true)
        defer { connection.end() }
        try store.handle.control("SAVEPOINT one")
        do {
            let value = try body(connection)
            if let failure = connection.failure { throw failure }
            try store.handle.control("RELEASE one")
            return value
        } catch {
            try store.handle.control("ROLLBACK TO one")
            try store.handle.control("RELEASE one")
            throw error
        }
    }
}
