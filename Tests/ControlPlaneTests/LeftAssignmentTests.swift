import Base
import Database
import Domain
import Synchronization
import Testing
import WorkerProtocol
import Workers

@testable import Executions

/// Assignments that are written, and that nobody would look after any more.
@Suite struct LeftAssignmentTests {
    @Test func `a worker gets what it was given by a request whose client vanished meanwhile, once`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            let database = TouchedDatabase(inner: plane.database, after: { withUnsafeCurrentTask { $0?.cancel() } })
            let executions = plane.executions(on: database)
            let assign = try await withThrowingTaskGroup(of: Void.self) { group in
                defer { group.cancelAll() }
                group.addTask { try await executions.dispatchLoop() }
                group.addTask { _ = try await executions.create(plane.command("true")) }
                return try await worker.assignment()
            }
            let key = try assign.key
            try await worker.complete(key, ExecutionServiceTests.report())
            let ended = try await plane.execution(key.executionID)
            #expect(ended.state == .completed)
            #expect(ended.attempt == 1)
            let assignments = worker.transport.state.withLock { state in
                state.messages.count { if case .assign = $0 { true } else { false } }
            }
            #expect(assignments == 1)
            #expect(worker.transport.state.withLock { $0.closed == nil })
        }
    }

    @Test func `a worker that names none of what it was given is not taken in until that can be written`() async throws
    {
        try await ControlPlane.with(runs: false) { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("true")).execution.id
            let given = try #require(try await plane.execution(id).workerID)
            await worker.link.disconnected()
            let busy = BerthError(.unavailable, "the database is busy", isRetryable: true)
            let failing = plane.executions(on: TouchedDatabase(inner: plane.database, before: { throw busy }))
            let found = try await plane.database.read { connection in
                try connection.first("SELECT replica_id, connection FROM workers WHERE id = $1", given).map { row in
                    WorkerFence(replicaID: try row.id("replica_id"), connection: try row.integer("connection"))
                }
            }
            let fence = try #require(found)
            let organization = plane.organization
            let error = await #expect(throws: BerthError.self) {
                _ = try await failing.resume(
                    worker: given,
                    organization: organization,
                    fence: fence,
                    attempts: [],
                    keepsBooks: true
                )
            }
            #expect(error?.code == .unavailable)
            #expect(try await plane.execution(id).state == .assigned)
            _ = try await WorkerLinkTests.reconnect(plane, [])
            #expect(try await plane.execution(id).state == .queued)
        }
    }
}
