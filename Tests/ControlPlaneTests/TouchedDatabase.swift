import Base
import Database
import Domain

@testable import Executions

/// A database whose writes meet a test's code: `before` they begin, and `after` they are durable.
struct TouchedDatabase: SQLDatabase {
    let inner: any SQLDatabase
    var before: @Sendable () throws -> Void = {}
    var after: @Sendable () -> Void = {}

    var dialect: any SQLDialect { inner.dialect }
    var wakeUps: (any WakeUps)? { inner.wakeUps }
    var queues: (reads: Int, writes: Int) { inner.queues }

    func read<Value: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> Value) async throws -> Value {
        try await inner.read(body)
    }

    func write<Value: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> Value) async throws -> Value {
        try before()
        let value = try await inner.write(body)
        after()
        return value
    }

    func write<Value: Sendable>(
        of organization: OrganizationID,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try before()
        let value = try await inner.write(of: organization, body)
        after()
        return value
    }

    func find<Value: Sendable>(_ query: RowQuery<Value>, _ values: [SQLValue]) async throws -> Value? {
        try await inner.find(query, values)
    }

    func close() async {}
}

extension ControlPlane {
    /// Another server's executions on `database`, with the same workers.
    func executions(on database: TouchedDatabase) -> ExecutionService {
        ExecutionService(
            database: database,
            feed: Feed(database),
            sealer: sealer,
            workers: registry,
            environments: environments,
            output: executions.output,
            workspaces: workspaces,
            time: SystemTime(),
            ids: ids,
            log: Log(sink: SilentSink(), time: SystemTime())
        )
    }
}
