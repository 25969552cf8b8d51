import Base
import Domain
import Synchronization
import Testing
import WorkerProtocol

@testable import Executions
@testable import Workers

/// Two processes under one name.
@Suite struct WorkerNameTests {
    private static func worker(_ plane: ControlPlane) async throws -> ScriptedWorker {
        ScriptedWorker(plane.workers, try await plane.tokens.authenticate(token: Secret("standing-token")))
    }

    @Test func `the one that began later stays, and the other is told why it may not come back`() async throws {
        try await ControlPlane.with { plane in
            let older = try await Self.worker(plane)
            try await older.register(stateID: "a", startedAt: 100)
            let newer = try await Self.worker(plane)
            try await newer.register(stateID: "b", startedAt: 200)
            #expect(try await older.closed() == 1008)
            await older.link.disconnected()
            for _ in 0..<3 {
                let again = try await Self.worker(plane)
                try await again.say(
                    .hello(
                        .init(
                            workerId: "worker-1",
                            version: "0.1.0",
                            capabilities: [],
                            protocol: 1,
                            attempts: [],
                            stateId: "a",
                            startedAt: 100
                        )
                    )
                )
                #expect(try await again.closed() == 1008)
                let reason = again.transport.state.withLock { $0.closed?.reason }
                #expect(reason == "another worker of this name, begun later, is connected")
            }
            #expect(newer.transport.state.withLock { $0.closed } == nil)
            // Its own restart is welcome at any time.
            let restarted = try await Self.worker(plane)
            try await restarted.register(stateID: "b", startedAt: 300)
            #expect(try await newer.closed() == 1008)
        }
    }

    @Test(arguments: [RetryPolicy.never, .idempotent])
    func `what the replaced one had is never run again while it may still run`(_ retry: RetryPolicy) async throws {
        try await ControlPlane.with { plane in
            let older = try await Self.worker(plane)
            try await older.register(stateID: "a", startedAt: 100)
            var request = plane.command("deploy")
            request.spec.retry = retry
            // Never said to have started: that may be on its way still.
            let id = try await plane.executions.create(request).execution.id
            _ = try await older.assignment()
            let newer = try await Self.worker(plane)
            let before = SystemTime().now
            try await newer.register(stateID: "b", startedAt: 200)
            let record = try await plane.execution(id)
            #expect(record.state == (retry == .never ? .failed : .queued))
            if retry == .never {
                #expect(record.failure?.message == "another process took the name of its worker")
            } else {
                #expect(try #require(record.notBefore) >= before + ProtocolLimits.lostAfter)
            }
        }
    }

    @Test func `a worker with its own books gets back what it never began`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await Self.worker(plane)
            try await worker.register(stateID: "a", startedAt: 100)
            let id = try await plane.executions.create(plane.command("true")).execution.id
            _ = try await worker.assignment()
            let restarted = try await Self.worker(plane)
            try await restarted.register(stateID: "a", startedAt: 200)
            let assign = try await restarted.assignment()
            #expect(try assign.key == AttemptKey(id, 2))
        }
    }
}
