import Base
import Domain
import Synchronization
import Testing
import WorkerProtocol
import Workers

@testable import Executions

/// An attempt that ends between the commit of its assignment and the sending.
@Suite struct OvertakenAssignmentTests {
    private struct Committed: Sendable {
        var plane: ControlPlane
        var worker: ScriptedWorker
        var candidate: WorkerCandidate
        var key: AttemptKey
        var stored: StoredExecution
        let input = PlainInput(
            prompt: "",
            command: ["true"],
            secrets: Secret(ExecutionSecrets(env: [:], git: [])),
            hasSecrets: false
        )

        func send() async { await plane.executions.send(key, stored, input, to: candidate) }

        func expire() async throws {
            let late = plane.executions.time.now + .seconds(7200)
            try await plane.executions.change(key.executionID, plane.organization) { machine, _ in
                machine.expire(at: late)
            }
            #expect(try await plane.execution(key.executionID).state == .failed)
        }

        func assignments() -> Int {
            worker.transport.state.withLock { state in
                state.messages.count { if case .assign = $0 { true } else { false } }
            }
        }
    }

    private static func with(_ body: @escaping @Sendable (Committed) async throws -> Void) async throws {
        try await ControlPlane.with(runs: false) { plane in
            let executions = plane.executions
            let id = try await executions.create(plane.command("true")).execution.id
            let worker = try await plane.standingWorker()
            let candidate = try #require(plane.registry.candidates().first)
            let key = AttemptKey(id, 1)
            #expect(executions.inFlight.begin(key))
            #expect(plane.registry.reserve(candidate.workerID, for: key))
            let claim = AttemptClaim(
                attempt: 1,
                workerID: candidate.workerID,
                instance: nil,
                assignedAt: executions.time.now
            )
            let stored = try await executions.change(id, plane.organization) { machine, _ in
                try machine.assign(claim)
            }
            .stored
            try await body(
                Committed(plane: plane, worker: worker, candidate: candidate, key: key, stored: stored)
            )
        }
    }

    @Test func `is not sent any more, and its slot is free`() async throws {
        try await Self.with { committed in
            try await committed.expire()
            await committed.send()
            #expect(committed.assignments() == 0)
            #expect(committed.plane.executions.live[committed.key] == nil)
            #expect(committed.plane.registry.candidates().first?.freeSlots == 2)
        }
    }

    @Test func `a worker that reports what ended without its word is told to forget it`() async throws {
        try await Self.with { committed in
            let executions = committed.plane.executions
            await committed.send()
            _ = try await committed.worker.assignment()
            try await committed.expire()
            // As a server has it that another one's word of the end has not reached yet.
            executions.enliven(committed.key, committed.stored, committed.candidate.workerID)
            let told = forgets(committed)
            try await committed.worker.complete(committed.key, ExecutionServiceTests.report())
            #expect(forgets(committed) == told + 1)
            #expect(executions.live[committed.key] == nil)
        }
    }

    @Test func `a worker that ends it before the server has sent on is told once, and nothing else`() async throws {
        try await Self.with { committed in
            let worker = committed.worker
            worker.transport.state.withLock { state in
                state.onAssignment = { try await worker.complete(try $0.key, ExecutionServiceTests.report()) }
            }
            await committed.send()
            let ended = try await committed.plane.execution(committed.key.executionID)
            #expect(ended.state == .completed)
            #expect(forgets(committed) == 1)
            let cancels = worker.transport.state.withLock { state in
                state.messages.count { if case .cancel = $0 { true } else { false } }
            }
            #expect(cancels == 0)
            #expect(committed.plane.registry.candidates().first?.freeSlots == 2)
        }
    }

    private func forgets(_ committed: Committed) -> Int {
        committed.worker.transport.state.withLock { state in
            state.messages.count { if case .forget = $0 { true } else { false } }
        }
    }
}
