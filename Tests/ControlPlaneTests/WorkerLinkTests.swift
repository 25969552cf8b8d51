import Base
import Domain
import Environments
import Testing
import WorkerProtocol
import Workers

@testable import Executions

/// Connections that come and go, and what becomes of what they held.
@Suite struct WorkerLinkTests {
    static func position(_ key: AttemptKey, hasEnded: Bool = false) -> WorkerMessage.AttemptPosition {
        .init(executionId: key.executionID, attempt: key.attempt, stdout: 0, stderr: 0, hasEnded: hasEnded)
    }

    static func reconnect(
        _ plane: ControlPlane,
        _ attempts: [WorkerMessage.AttemptPosition]?,
        protocol version: Int? = 1
    )
        async throws -> (ScriptedWorker, ServerMessage.Ack)
    {
        let worker = ScriptedWorker(plane.workers, try await plane.tokens.authenticate(token: Secret("standing-token")))
        return (worker, try await worker.register(protocol: version, attempts: attempts))
    }

    @Test func `a cut link resumes at the stored byte`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("true")).execution.id
            let key = try await worker.assignment().key
            try await worker.start(id)
            try await worker.say(
                .open(.init(channel: 1, executionId: id, attempt: 1, stream: .stdout, offset: 0))
            )
            await worker.send(.data(channel: 1, offset: 0, bytes: [1, 2, 3]))
            await worker.link.disconnected()

            let (again, ack) = try await Self.reconnect(plane, [Self.position(key)])
            #expect(
                ack.resume == [.init(executionId: id, attempt: 1, action: .resume, stdout: 3, stderr: 0)]
            )
            try await again.say(
                .open(.init(channel: 1, executionId: id, attempt: 1, stream: .stdout, offset: 3))
            )
            await again.send(.data(channel: 1, offset: 0, bytes: [1, 2, 3, 4, 5]))
            try await again.complete(key, ExecutionServiceTests.report([1, 2, 3, 4, 5]))
            #expect(try await plane.execution(id).state == .completed)
            let slice = try await plane.executions.readOutput(key, .stdout, from: 0, limit: 100)
            #expect(slice.bytes == [1, 2, 3, 4, 5])
        }
    }

    @Test func `a second connection of the same worker replaces the first`() async throws {
        try await ControlPlane.with { plane in
            let first = try await plane.standingWorker()
            let second = try await plane.standingWorker()
            #expect(try await first.closed() == 1008)
            await first.link.disconnected()
            let id = try await plane.executions.create(plane.command("true")).execution.id
            #expect(try await second.assignment().executionId == id.text)
            let listed = try await plane.workers.list(plane.organization, visibleTo: nil, after: nil, limit: 10)
            #expect(listed.count == 1)
            #expect(listed.first?.isConnected == true)
        }
    }

    @Test func `what a worker does not name is given back when it had not begun, lost when it had`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            let begun = try await plane.executions.create(plane.command("begun")).execution.id
            _ = try await worker.assignment()
            try await worker.start(begun)
            let fresh = try await plane.executions.create(plane.command("fresh")).execution.id
            _ = try await worker.assignment(1)
            await worker.link.disconnected()
            let (again, _) = try await Self.reconnect(plane, [])
            let lost = try await plane.execution(begun)
            #expect(lost.state == .failed)
            #expect(lost.failure?.code == .infrastructureLost)
            let assign = try await again.assignment()
            #expect(assign.executionId == fresh.text)
            #expect(assign.attempt == 2)
        }
    }

    @Test func `a worker that names what is over is told to forget or to kill it`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("true")).execution.id
            let key = try await worker.assignment().key
            try await worker.complete(key, ExecutionServiceTests.report())
            await worker.link.disconnected()
            let unknown = AttemptKey(plane.ids.make(), 1)
            let (_, ack) = try await Self.reconnect(
                plane,
                [Self.position(key, hasEnded: true), Self.position(unknown), Self.position(AttemptKey(id, 7))]
            )
            #expect(ack.resume?.map(\.action) == [.forget, .kill, .kill])
        }
    }

    @Test func `another worker's word about an attempt is refused`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("true")).execution.id
            let key = try await worker.assignment().key
            let thief = try await plane.standingWorker("worker-2")
            try await thief.start(id)
            try await thief.complete(key, ExecutionServiceTests.report(exitCode: 9))
            try await thief.output([6, 6, 6], key)
            #expect(try await plane.execution(id).state == .assigned)
            let slice = try await plane.executions.readOutput(key, .stdout, from: 0, limit: 100)
            #expect(slice.bytes.isEmpty)
            _ = try await thief.expect { state in
                state.messages.contains(.cancel(.init(executionId: id.text, attempt: 1))) ? true : nil
            }
        }
    }

    @Test func `a worker that stays away loses its runs after ninety seconds`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, runs: false) { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("true")).execution.id
            try await worker.start(id)
            await worker.link.disconnected()
            time.advance(.seconds(89))
            try await plane.workers.giveUpLost()
            #expect(try await plane.execution(id).state == .running)
            time.advance(.seconds(2))
            try await plane.workers.giveUpLost()
            let record = try await plane.execution(id)
            #expect(record.state == .failed)
            #expect(record.failure?.code == .infrastructureLost)
        }
    }

    @Test func `a restarted server expects its workers back and ends what does not come`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, runs: false) { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("true")).execution.id
            try await worker.start(id)
            let restarted = plane.restarted(time: time)
            try await restarted.executions.recover()
            time.advance(.seconds(91))
            try await restarted.workers.giveUpLost()
            #expect(try await restarted.execution(id).state == .failed)
        }
    }

    @Test func `a restarted server carries on with a worker that comes back`() async throws {
        try await ControlPlane.with(runs: false) { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("true")).execution.id
            let key = try await worker.assignment().key
            try await worker.start(id)
            try await worker.output([1, 2], key)
            let restarted = plane.restarted(time: SystemTime())
            try await restarted.executions.recover()
            let (again, ack) = try await Self.reconnect(restarted, [Self.position(key)])
            #expect(ack.resume?.first?.action == .resume)
            #expect(ack.resume?.first?.stdout == 2)
            try await again.complete(key, ExecutionServiceTests.report([1, 2]))
            #expect(try await restarted.execution(id).state == .completed)
        }
    }

    @Test func `a peer that speaks only the document runs a prompt`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker("documented", protocol: nil)
            #expect(try await worker.ack().resume == nil)
            var request = plane.command("unused")
            request.spec.agent = .claude
            request.command = nil
            request.prompt = "do it"
            let id = try await plane.executions.create(request).execution.id
            let assign = try await worker.assignment()
            #expect(assign.prompt == "do it")
            #expect(assign.attempt == nil)
            #expect(assign.agent == nil)
            #expect(try await plane.execution(id).state == .running)
            for chunk in ["first ", "second\n"] {
                try await worker.say(.stdout(.init(executionId: id.text, chunk: chunk, timestamp: 1)))
            }
            try await worker.say(.stderr(.init(executionId: id.text, chunk: "oops", timestamp: 1)))
            try await worker.say(
                .complete(.init(executionId: id.text, status: .completed, exitCode: 0, durationMs: 5))
            )
            let record = try await plane.execution(id)
            #expect(record.state == .completed)
            #expect(record.report?.stdout?.totalBytes == 13)
            let slice = try await plane.executions.readOutput(AttemptKey(id, 1), .stdout, from: 6, limit: 100)
            #expect(String(decoding: slice.bytes, as: UTF8.self) == "second\n")
            // It gets nothing new before it says that it is ready again.
            let next = try await plane.executions.create(request).execution
            #expect(next.state == .queued)
            try await worker.say(.ready(.init()))
            #expect(try await worker.assignment(1).executionId == next.id.text)
        }
    }

    @Test func `a documented peer's output past the cap is counted, not stored`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker("documented", protocol: nil)
            var request = plane.command("unused")
            request.spec.agent = .claude
            request.command = nil
            request.prompt = "do it"
            request.spec.caps.maxOutputBytes = 5
            let id = try await plane.executions.create(request).execution.id
            for chunk in ["abc", "defg", "hij"] {
                try await worker.say(.stdout(.init(executionId: id.text, chunk: chunk, timestamp: 1)))
            }
            try await worker.say(
                .complete(.init(executionId: id.text, status: .completed, exitCode: 0, durationMs: 5))
            )
            let mark = try await plane.execution(id).report?.stdout
            #expect(mark?.totalBytes == 10)
            #expect(mark?.headBytes == 5)
            #expect(mark?.isTruncated == true)
        }
    }

    @Test func `a token that was replaced no longer opens the door`() async throws {
        try await ControlPlane.with(connectsWorkers: false) { plane in
            let environment = try await plane.environments.create(
                NewEnvironmentFixture.make(plane)
            )
            let first = try await plane.tokens.issueToken(
                organization: plane.organization,
                owner: plane.user,
                environment: environment.id,
                instance: 8
            )
            _ = try await plane.tokens.authenticate(token: first)
            let second = try await plane.tokens.issueToken(
                organization: plane.organization,
                owner: plane.user,
                environment: environment.id,
                instance: 9
            )
            _ = try await plane.tokens.authenticate(token: second)
            for token in [first, Secret("wrong")] {
                let error = await #expect(throws: BerthError.self) { try await plane.tokens.authenticate(token: token) }
                #expect(error?.code == .unauthenticated)
            }
        }
    }
}
