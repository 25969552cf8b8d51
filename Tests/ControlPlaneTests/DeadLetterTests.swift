import Base
import Database
import Domain
import Synchronization
import Testing
import WorkerProtocol

@testable import Executions

@Suite struct DeadLetterTests {
    private static let quick = ExecutionTimes(retryDelay: .milliseconds(20))
    private static let spoilt: ExecutionReport = {
        var report = ExecutionReport(outcome: .failed, durationMs: 1, hasStarted: false)
        report.failure = FailureReason(.network, "git.example does not answer")
        return report
    }()

    /// Runs a command with a secret variable until it is given up.
    private static func givenUp(_ plane: ControlPlane, _ worker: ScriptedWorker) async throws -> ExecutionID {
        var request = plane.command("deploy")
        request.environment = Secret(["API_TOKEN": "s3cr3t-value"])
        let id = try await plane.executions.create(request).execution.id
        for index in 0..<3 {
            let assign = try await worker.assignment(index)
            #expect(assign.attempt == index + 1)
            try await worker.complete(try assign.key, spoilt)
        }
        let record = try await plane.execution(id) { $0.state.isTerminal }
        #expect(record.state == .failed)
        #expect(record.failure?.code == .network)
        return id
    }

    private static func secrets(of id: ExecutionID, _ plane: ControlPlane) async throws -> [UInt8]? {
        try await plane.database.read { connection in
            try connection.first("SELECT secrets_sealed FROM execution_inputs WHERE execution_id = $1", id)?
                .optionalBlob("secrets_sealed")
        }
    }

    @Test func `after three failures an execution is a dead letter that tells every attempt`() async throws {
        try await ControlPlane.with(executionTimes: Self.quick) { plane in
            let id = try await Self.givenUp(plane, try await plane.standingWorker())
            let attempts = try await plane.executions.attempts(id, organization: plane.organization)
            #expect(attempts.map(\.attempt) == [1, 2, 3])
            #expect(attempts.map(\.outcome) == ["requeued", "requeued", "failed"])
            #expect(attempts.allSatisfy { $0.failure?.code == .network && $0.workerName == "worker-1" })
            #expect(attempts.allSatisfy { $0.endedAt != nil && $0.startedAt == nil })
            let page = try await plane.executions.deadLetters(
                plane.organization,
                visibleTo: plane.user,
                after: nil,
                limit: 10
            )
            #expect(page.letters.map(\.execution.id) == [id])
            #expect(page.letters.first?.execution.failures == 3)
            let types = try await plane.executions.history(id, organization: plane.organization).map(\.type)
            #expect(types.suffix(2) == ["execution.failed", "execution.deadLettered"])
            #expect(types.count { $0 == "execution.queued" } == 2)
            #expect(plane.executions.tally.deadLetterCount == 1)
            #expect(plane.executions.tally.retryCount == 2)
        }
    }

    @Test func `a retry is a new execution with the same input, once`() async throws {
        try await ControlPlane.with(executionTimes: Self.quick) { plane in
            let worker = try await plane.standingWorker()
            let id = try await Self.givenUp(plane, worker)
            #expect(try await Self.secrets(of: id, plane) != nil, "kept for the retry")
            // Many at the same time make one.
            let made = await withTaskGroup(of: ExecutionID?.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try? await plane.executions.retryDeadLetter(
                            id,
                            organization: plane.organization,
                            visibleTo: plane.user
                        )
                        .execution.id
                    }
                }
                return await group.reduce(into: [ExecutionID]()) { if let id = $1 { $0.append(id) } }
            }
            #expect(made.count == 1)
            let again = try #require(made.first)
            let assign = try await worker.assignment(3)
            #expect(try assign.key == AttemptKey(again, 1))
            #expect(assign.env["API_TOKEN"] == "s3cr3t-value")
            #expect(assign.agent?.command == ["deploy"])
            #expect(try await plane.execution(again).retryOf == id)
            #expect(try await Self.secrets(of: id, plane) == nil)
            #expect(try await plane.execution(id).state == .failed, "its end stays")
            let error = await #expect(throws: BerthError.self) {
                try await plane.executions.retryDeadLetter(id, organization: plane.organization, visibleTo: plane.user)
            }
            #expect(error?.code == .conflict)
            #expect(error?.message.contains(again.text) == true)
        }
    }

    @Test func `one that was dropped or has outlived its time is gone with its secrets`() async throws {
        let times = ExecutionTimes(retryDelay: .milliseconds(20), deadLetter: .milliseconds(1))
        for isDropped in [true, false] {
            try await ControlPlane.with(executionTimes: isDropped ? Self.quick : times) { plane in
                let id = try await Self.givenUp(plane, try await plane.standingWorker())
                if isDropped {
                    _ = try await plane.executions.dropDeadLetter(
                        id,
                        organization: plane.organization,
                        by: plane.user,
                        visibleTo: plane.user
                    )
                } else {
                    try await SystemTime().wait(for: .milliseconds(2))
                    try await plane.executions.expireDeadLetters()
                }
                #expect(try await Self.secrets(of: id, plane) == nil)
                let error = await #expect(throws: BerthError.self) {
                    try await plane.executions.retryDeadLetter(
                        id,
                        organization: plane.organization,
                        visibleTo: plane.user
                    )
                }
                #expect(error?.code == .notFound)
                #expect(try await plane.execution(id).state == .failed)
            }
        }
    }

    @Test func `another user's and another organization's letters are not found`() async throws {
        try await ControlPlane.with(executionTimes: Self.quick) { plane in
            let id = try await Self.givenUp(plane, try await plane.standingWorker())
            let (stranger, other): (OrganizationID, UserID) = (plane.ids.make(), plane.ids.make())
            for (organization, user) in [(stranger, plane.user), (plane.organization, other)] {
                let error = await #expect(throws: BerthError.self) {
                    try await plane.executions.deadLetter(id, organization: organization, visibleTo: user)
                }
                #expect(error?.code == .notFound)
                await #expect(throws: BerthError.self) {
                    try await plane.executions.retryDeadLetter(id, organization: organization, visibleTo: user)
                }
                await #expect(throws: BerthError.self) {
                    try await plane.executions.dropDeadLetter(
                        id,
                        organization: organization,
                        by: plane.user,
                        visibleTo: user
                    )
                }
                let page = try await plane.executions.deadLetters(organization, visibleTo: user, after: nil, limit: 9)
                #expect(page.letters.isEmpty)
            }
        }
    }

    @Test func `a cancel ends what waits for its next attempt`() async throws {
        try await ControlPlane.with(executionTimes: ExecutionTimes(retryDelay: .seconds(3600))) { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("deploy")).execution.id
            try await worker.complete(try await worker.assignment().key, Self.spoilt)
            let waiting = try await plane.execution(id)
            #expect(waiting.state == .queued && waiting.notBefore != nil)
            // The dispatcher leaves it alone, also when something happens.
            await plane.executions.workerReady(plane.ids.make())
            let record = try await plane.executions.cancel(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            #expect(record.state == .cancelled)
            let assigned = worker.transport.state.withLock { state in
                state.messages.count { if case .assign = $0 { true } else { false } }
            }
            #expect(assigned == 1)
        }
    }
}
