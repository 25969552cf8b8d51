import Base
import Database
import Domain
import Synchronization
import Testing
import WorkerProtocol
import Workers

@testable import Executions

/// What is kept of a row after a write without reading it again.
@Suite struct ExecutionStepTests {
    private static let quick = ExecutionTimes(retryDelay: .milliseconds(1))

    private static func expectAsRead(_ kept: StoredExecution, _ step: String, _ plane: ControlPlane) async throws {
        let record = kept.record
        let row = try await plane.database.read { connection in
            try connection.first(ExecutionStore.byID, record.id, record.organizationID).map {
                try ExecutionStore.stored($0, times: plane.executions.times)
            }
        }
        let read = try #require(row)
        #expect(kept.record == read.record, "after \(step)")
        #expect(kept.instance == read.instance, "after \(step)")
        #expect(kept.titleSealed == read.titleSealed, "after \(step)")
        #expect(kept.machine.state == read.machine.state, "after \(step)")
        #expect(kept.machine.claim == read.machine.claim, "after \(step)")
        #expect(kept.machine.cancelRequest == read.machine.cancelRequest, "after \(step)")
        #expect(kept.machine.deadlineAt == read.machine.deadlineAt, "after \(step)")
        #expect(kept.machine.notBefore == read.machine.notBefore, "after \(step)")
        #expect(kept.machine.isDeadLetter == read.machine.isDeadLetter, "after \(step)")
    }

    private static func apply(
        _ step: String,
        to id: ExecutionID,
        _ plane: ControlPlane,
        report: ExecutionReport? = nil,
        startedAt: Timestamp? = nil,
        _ event: @escaping @Sendable (inout ExecutionMachine, Timestamp) throws -> [ExecutionMachine.Effect]
    ) async throws {
        let now = plane.executions.time.now
        let change = try await plane.executions.change(
            id,
            plane.organization,
            report: try report.map { try WrittenReport($0) },
            startedAt: startedAt
        ) { machine, _ in
            try event(&machine, now)
        }
        try await expectAsRead(change.stored, step, plane)
    }

    @Test func `it is what the row says after every step`() async throws {
        try await ControlPlane.with(executionTimes: Self.quick, runs: false) { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("a")).execution.id
            let key = AttemptKey(id, 1)
            let created = try #require(plane.executions.live[key]?.seen)
            try await Self.expectAsRead(created, "creation", plane)
            let claim = try #require(created.machine.claim)
            try await Self.apply("start", to: id, plane) { machine, now in try machine.start(attempt: 1, at: now) }
            try await Self.apply("cancel", to: id, plane) { machine, now in try machine.cancel(by: "u", at: now) }
            let report = ExecutionServiceTests.report([], exitCode: 3)
            try await Self.apply("end", to: id, plane, report: report) { machine, now in
                try machine.report(attempt: 1, report, at: now)
            }
            try await worker.say(.ready(.init(slots: 2)))
            let second = try await plane.executions.create(plane.command("b")).execution.id
            var spoilt = ExecutionReport(outcome: .failed, durationMs: 1, hasStarted: false)
            spoilt.failure = FailureReason(.network, "git.example does not answer", remedy: "look")
            let failed = spoilt
            for attempt in 1...3 {
                if attempt > 1 {
                    try await Self.apply("claim \(attempt)", to: second, plane) { machine, now in
                        try machine.assign(
                            AttemptClaim(
                                attempt: attempt,
                                workerID: claim.workerID,
                                instance: nil,
                                assignedAt: now + .seconds(60)
                            )
                        )
                    }
                }
                try await Self.apply("failure \(attempt)", to: second, plane, report: failed) { machine, now in
                    try machine.report(attempt: attempt, failed, at: now)
                }
            }
            let third = try await plane.executions.create(plane.command("c")).execution.id
            try await Self.apply("giving back", to: third, plane) { machine, now in
                try machine.giveBack(attempt: 1, at: now)
            }
            try await Self.apply("expiry", to: third, plane) { machine, now in machine.expire(at: now + .seconds(1e9)) }
            let fourth = try await plane.executions.create(plane.command("d")).execution.id
            let success = ExecutionServiceTests.report()
            let startedAt = plane.executions.time.now
            try await Self.apply(
                "an end that tells of the start",
                to: fourth,
                plane,
                report: success,
                startedAt: startedAt
            ) {
                machine,
                now in try machine.report(attempt: 1, success, at: now)
            }
            let history = try await plane.executions.attempts(fourth, organization: plane.organization)
            #expect(history.map(\.startedAt) == [startedAt])
        }
    }

    @Test func `a cancel that another server accepted wins over an end from memory`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("a")).execution.id
            let other = plane.restarted(time: SystemTime())
            _ = try await other.executions.cancel(id, organization: plane.organization, by: plane.user, visibleTo: nil)
            let seen = try #require(plane.executions.live[AttemptKey(id, 1)]?.seen)
            #expect(seen.machine.cancelRequest == nil)
            try await worker.complete(AttemptKey(id, 1), ExecutionServiceTests.report())
            let end = try await plane.execution(id)
            #expect(end.state == .cancelled)
            #expect(end.cancelledBy == plane.user.text)
        }
    }

    @Test func `an end that another server has recorded stays, whatever is remembered here`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("a")).execution.id
            let other = plane.restarted(time: SystemTime())
            _ = try await other.executions.change(id, plane.organization) { machine, _ in
                try machine.lose(attempt: 1, FailureReason(.infrastructureLost, "gone"), at: plane.executions.time.now)
            }
            try await worker.complete(AttemptKey(id, 1), ExecutionServiceTests.report())
            let end = try await plane.execution(id)
            #expect(end.state == .failed)
            #expect(end.report == nil)
            let types = try await plane.executions.history(id, organization: plane.organization).map(\.type)
            #expect(types == ["execution.created", "execution.assigned", "execution.failed"])
            #expect(worker.transport.state.withLock { $0.closed } == nil)
        }
    }

    @Test func `ends that come together are recorded each by itself, and a stale one among them is refused alone`()
        async throws
    {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker(slots: 40)
            var keys: [AttemptKey] = []
            for _ in 0..<40 {
                keys.append(AttemptKey(try await plane.executions.create(plane.command("a")).execution.id, 1))
            }
            var frames: [LinkFrame] = []
            for (index, key) in keys.enumerated() {
                let attempt = index == 17 ? 2 : 1
                let started = WorkerMessage.started(.init(executionId: key.executionID, attempt: attempt))
                frames.append(.text(try MessageCodec.encode(started)))
                let complete = WorkerMessage.Complete(
                    executionId: key.executionID.text,
                    status: .completed,
                    exitCode: 0,
                    durationMs: 1,
                    attempt: attempt,
                    report: ExecutionServiceTests.report()
                )
                frames.append(.text(try MessageCodec.encode(WorkerMessage.complete(complete))))
            }
            await worker.link.receive(frames)
            for (index, key) in keys.enumerated() {
                let record = try await plane.execution(key.executionID)
                #expect(record.state == (index == 17 ? .assigned : .completed))
                #expect((record.startedAt != nil) == (index != 17))
                let types = try await plane.executions.history(key.executionID, organization: plane.organization)
                    .map(\.type)
                #expect(types.count { $0 == "execution.completed" } == (index == 17 ? 0 : 1))
            }
            let forgotten = worker.transport.state.withLock { state in
                state.messages.compactMap { if case .forget(let forget) = $0 { forget.executionId } else { nil } }
            }
            #expect(Set(forgotten) == Set(keys.map(\.executionID)))
            let seqs = try await plane.feed.read(plane.organization, after: 0, limit: 1000, visibleTo: nil).map(\.seq)
            #expect(seqs == Array(1...Int64(seqs.count)))
        }
    }
}
