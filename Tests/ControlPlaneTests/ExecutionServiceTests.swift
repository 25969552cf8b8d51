import Base
import Database
import Domain
import Environments
import OpenSSL
import Replicas
import Synchronization
import TestSupport
import Testing
import WorkerProtocol
import Workers
import Workspaces

@testable import Executions

@Suite struct ExecutionServiceTests {
    static func report(_ bytes: [UInt8] = [], exitCode: Int32 = 0) -> ExecutionReport {
        let mark = OutputMark(
            totalBytes: Int64(bytes.count),
            headBytes: Int64(bytes.count),
            tailBytes: 0,
            sha256: Hex.encode(SHA256.hash(bytes))
        )
        return ExecutionReport(
            outcome: exitCode == 0 ? .completed : .failed,
            exitCode: exitCode,
            durationMs: 12,
            stdout: mark
        )
    }

    @Test func `every statement fits the schema`() async throws {
        try await withDatabase { database in
            try await database.check(
                ExecutionService.statements + EnvironmentService.statements + WorkerTokens.statements
                    + WorkspaceService.statements + ExecutionService.statements(database.dialect)
                    + ReplicaService.statements(database.dialect) + DatabaseOutput.statements
            )
        }
    }

    @Test func `a command goes from request to recorded end with its output byte for byte`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            let created = try await plane.executions.create(plane.command("echo", "hi"))
            #expect(created.isNew)
            #expect(created.execution.state == .assigned, "a free worker is given it at once")
            #expect(created.execution.title == "echo hi")
            let assign = try await worker.assignment()
            #expect(assign.agent?.command == ["echo", "hi"])
            #expect(assign.attempt == 1)
            let key = try assign.key
            try await worker.start(key.executionID)
            #expect(try await plane.execution(key.executionID).state == .running)
            let bytes = [UInt8]((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
            try await worker.output(bytes, key)
            try await worker.complete(key, Self.report(bytes))
            let end = try await plane.execution(key.executionID)
            #expect(end.state == .completed)
            #expect(end.exitCode == 0)
            #expect(end.report?.durationMs == 12)
            let slice = try await plane.executions.readOutput(key, .stdout, from: 0, limit: 1 << 20)
            #expect(slice.bytes == bytes)
            let status = try await plane.executions.outputs(end)
            #expect(status.first { $0.stream == .stdout }?.mark == Self.report(bytes).stdout)
            _ = try await worker.expect { state in
                state.messages.contains(.forget(.init(executionId: key.executionID, attempt: 1))) ? true : nil
            }
            let types = try await plane.executions.history(key.executionID, organization: plane.organization).map(
                \.type
            )
            #expect(
                types == ["execution.created", "execution.assigned", "execution.running", "execution.completed"]
            )
        }
    }

    @Test(
        arguments: [
            OutputMark(totalBytes: .max, headBytes: .max, tailBytes: 1, sha256: ""),
            OutputMark(totalBytes: .min, headBytes: .min, tailBytes: -1, sha256: ""),
            OutputMark(totalBytes: 5, headBytes: -5, tailBytes: 10, sha256: ""),
            OutputMark(totalBytes: 1, headBytes: 3, tailBytes: 2, sha256: ""),
        ]
    )
    func `figures of a report that cannot be true are cut to what is stored`(mark: OutputMark) async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            _ = try await plane.executions.create(plane.command("true"))
            let key = try await worker.assignment().key
            try await worker.start(key.executionID)
            try await worker.output([1, 2, 3, 4, 5], key)
            var report = Self.report()
            report.stdout = mark
            report.verdict = AgentVerdict(isError: false, subtype: "success", usage: AgentUsage(costUSD: 1e300))
            try await worker.complete(key, report)
            let end = try await plane.execution(key.executionID)
            #expect(end.state == .completed)
            let stored = try await plane.executions.outputs(end).first { $0.stream == .stdout }
            #expect(stored?.storedBytes == 5)
            #expect((0...5).contains(stored?.mark?.headBytes ?? -1) && stored?.mark?.tailBytes == 0)
            #expect(end.report?.verdict?.usage.costUSD == 1e300)
        }
    }

    @Test func `without a worker it is queued, and taken when one comes`() async throws {
        try await ControlPlane.with { plane in
            let created = try await plane.executions.create(plane.command("true"))
            #expect(created.execution.state == .queued)
            let worker = try await plane.standingWorker()
            let assign = try await worker.assignment()
            #expect(assign.executionId == created.execution.id.text)
        }
    }

    @Test func `slots are never overbooked and the next one goes out when one is free`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker(slots: 2)
            for _ in 0..<5 { _ = try await plane.executions.create(plane.command("true")) }
            for index in 0..<5 {
                let assign = try await worker.assignment(index)
                let held = worker.transport.state.withLock { state in
                    state.messages.count { if case .assign = $0 { true } else { false } }
                }
                #expect(held <= index + 2)
                try await worker.complete(try assign.key, Self.report())
            }
        }
    }

    @Test func `variables and logins reach the worker and are in no plain column`() async throws {
        try await ControlPlane.with { plane in
            var request = plane.command("env")
            request.environment = Secret(["API_TOKEN": "s3cr3t-value"])
            request.gitCredentials = Secret([
                .init(scheme: "https", host: "git.example", username: "u", password: "s3cr3t-password")
            ])
            request.prompt = "s3cr3t-prompt"
            let id = try await plane.executions.create(request).execution.id
            let worker = try await plane.standingWorker()
            let assign = try await worker.assignment()
            #expect(assign.env == ["API_TOKEN": "s3cr3t-value"])
            #expect(assign.gitCredentials?.first?.password == "s3cr3t-password")
            #expect(assign.prompt == "s3cr3t-prompt")
            let path = plane.database
            let text = try await path.read { connection in
                try
                    (connection.rows("SELECT * FROM executions") + connection.rows("SELECT * FROM execution_inputs")
                    + connection.rows("SELECT * FROM events"))
                    .map { "\($0)" }.joined()
            }
            #expect(!text.contains("s3cr3t"))
            try await worker.complete(try assign.key, Self.report())
            let left = try await path.read { connection in
                try connection.first("SELECT secrets_sealed FROM execution_inputs WHERE execution_id = $1", id)?
                    .optionalBlob("secrets_sealed")
            }
            #expect(left ?? nil == nil, "cleared at the end")
        }
    }

    @Test func `a prompt of five megabytes works and one above the limit is refused with the limit`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            var request = plane.command("cat")
            request.prompt = String(repeating: "é", count: 5 << 19)
            let created = try await plane.executions.create(request)
            #expect(try await worker.assignment().prompt == request.prompt)
            let stored = try await plane.executions.prompt(
                created.execution.id,
                organization: plane.organization,
                visibleTo: plane.user
            )
            #expect(stored == request.prompt)
            request.prompt = String(repeating: "x", count: ExecutionLimits.promptBytes + 1)
            let error = await #expect(throws: BerthError.self) { try await plane.executions.create(request) }
            #expect(error?.code == .tooLarge)
            #expect(error?.field == "prompt")
            #expect(error?.remedy?.contains("8388608") == true)
        }
    }

    @Test func `bad input is refused by field`() async throws {
        try await ControlPlane.with { plane in
            let good = plane.command("true")
            var cases: [(String, NewExecution)] = []
            var request = good
            request.command = []
            cases.append(("command", request))
            request = good
            request.spec.agent = AgentKind(rawValue: "gpt")
            cases.append(("agent", request))
            request = good
            request.spec.caps.timeoutMs = -1
            cases.append(("config.timeoutMs", request))
            request = good
            request.spec.caps.maxOutputBytes = 0
            cases.append(("config.maxOutputBytes", request))
            request = good
            request.environment = Secret(["1X": "y"])
            cases.append(("env", request))
            request = good
            request.environment = Secret(["BERTH_ATTEMPT": "9"])
            cases.append(("env.BERTH_ATTEMPT", request))
            request = good
            request.command = ["a\u{0}b"]
            cases.append(("command[0]", request))
            request = good
            request.spec.agent = .claude
            cases.append(("command", request))
            request = good
            request.spec.agent = .claude
            request.command = nil
            cases.append(("prompt", request))
            request = good
            request.spec.workingDirectory = "relative"
            cases.append(("workingDirectory", request))
            request = good
            request.spec.caps.maxTurns = 3
            cases.append(("config.maxTurns", request))
            for (field, request) in cases {
                let error = await #expect(throws: BerthError.self) { try await plane.executions.create(request) }
                #expect(error?.field == field)
                #expect(error?.remedy != nil)
            }
        }
    }

    @Test func `the same idempotency key makes one execution, also at the same time`() async throws {
        try await ControlPlane.with { plane in
            var request = plane.command("true")
            request.idempotencyKey = "key-1"
            let same = request
            let made = try await withThrowingTaskGroup(of: CreatedExecution.self) { group in
                for _ in 0..<8 { group.addTask { try await plane.executions.create(same) } }
                var all: [CreatedExecution] = []
                for try await one in group { all.append(one) }
                return all
            }
            #expect(Set(made.map(\.execution.id)).count == 1)
            #expect(made.count { $0.isNew } == 1)
            request.command = ["false"]
            let other = request
            let error = await #expect(throws: BerthError.self) { try await plane.executions.create(other) }
            #expect(error?.code == .conflict)
            #expect(error?.field == "Idempotency-Key")
        }
    }

    @Test func `what is queued is cancelled at once, by name`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.executions.create(plane.command("true")).execution.id
            let record = try await plane.executions.cancel(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            #expect(record.state == .cancelled)
            #expect(record.cancelledBy == plane.user.text)
            let error = await #expect(throws: BerthError.self) {
                try await plane.executions.cancel(
                    id,
                    organization: plane.organization,
                    by: plane.user,
                    visibleTo: plane.user
                )
            }
            #expect(error?.code == .illegalTransition)
        }
    }

    @Test func `what runs is cancelled when its worker has ended it`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("sleep")).execution.id
            let key = try await worker.assignment().key
            let record = try await plane.executions.cancel(
                id,
                organization: plane.organization,
                by: plane.user,
                visibleTo: plane.user
            )
            #expect(record.state == .assigned)
            #expect(record.cancelRequestedAt != nil)
            _ = try await worker.expect { state in
                state.messages.contains(.cancel(.init(executionId: id.text, attempt: 1))) ? true : nil
            }
            try await worker.complete(key, ExecutionReport(outcome: .completed, exitCode: 0, durationMs: 1))
            #expect(try await plane.execution(id).state == .cancelled)
        }
    }

    @Test func `one end is recorded although many come at once`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            for round in 0..<20 {
                let id = try await plane.executions.create(plane.command("true")).execution.id
                let key = try await worker.assignment(round).key
                await withTaskGroup(of: Void.self) { group in
                    for exit in 0..<4 {
                        group.addTask { try? await worker.complete(key, Self.report(exitCode: Int32(exit))) }
                    }
                    group.addTask {
                        _ = try? await plane.executions.cancel(
                            id,
                            organization: plane.organization,
                            by: plane.user,
                            visibleTo: plane.user
                        )
                    }
                }
                let record = try await plane.execution(id)
                #expect(record.state.isTerminal)
                let ends = try await plane.executions.history(id, organization: plane.organization)
                    .filter { ["completed", "failed", "cancelled"].contains($0.type.split(separator: ".").last ?? "") }
                #expect(ends.count == 1)
            }
        }
    }

    @Test func `a foreign organization or user sees nothing`() async throws {
        try await ControlPlane.with { plane in
            let id = try await plane.executions.create(plane.command("true")).execution.id
            let stranger: OrganizationID = plane.ids.make()
            let other: UserID = plane.ids.make()
            for (organization, user) in [(stranger, plane.user), (plane.organization, other)] {
                let error = await #expect(throws: BerthError.self) {
                    try await plane.executions.get(id, organization: organization, visibleTo: user)
                }
                #expect(error?.code == .notFound)
                await #expect(throws: BerthError.self) {
                    try await plane.executions.cancel(id, organization: organization, by: user, visibleTo: user)
                }
                let page = try await plane.executions.list(
                    ExecutionFilter(),
                    organization: organization,
                    visibleTo: user
                )
                #expect(page.executions.isEmpty)
            }
        }
    }

    @Test func `pages neither repeat nor leave out, and filters hold`() async throws {
        try await ControlPlane.with { plane in
            var made: [ExecutionID] = []
            for _ in 0..<25 { made.append(try await plane.executions.create(plane.command("true")).execution.id) }
            var seen: [ExecutionID] = []
            var cursor: ExecutionID?
            repeat {
                let page = try await plane.executions.list(
                    ExecutionFilter(states: [.queued]),
                    organization: plane.organization,
                    visibleTo: plane.user,
                    after: cursor,
                    limit: 10
                )
                seen += page.executions.map(\.id)
                cursor = page.next
            } while cursor != nil
            #expect(seen == made.sorted(by: >))
            let none = try await plane.executions.list(
                ExecutionFilter(states: [.running, .failed]),
                organization: plane.organization,
                visibleTo: nil
            )
            #expect(none.executions.isEmpty)
        }
    }

    @Test func `overdue states end by themselves`() async throws {
        let time = SettableTime()
        try await ControlPlane.with(time: time, runs: false) { plane in
            let queued = try await plane.executions.create(plane.command("true")).execution.id
            time.advance(.seconds(24 * 3600 + 1))
            _ = try await plane.executions.keepDeadlines()
            let record = try await plane.execution(queued)
            #expect(record.state == .failed)
            #expect(record.failure?.code == .unavailable)

            let worker = try await plane.standingWorker()
            var request = plane.command("sleep")
            request.spec.caps.timeoutMs = 60_000
            let running = try await plane.executions.create(request).execution.id
            try await worker.start(running)
            time.advance(.seconds(89))
            #expect(try await plane.executions.keepDeadlines() != nil)
            #expect(try await plane.execution(running).state == .running)
            time.advance(.seconds(2))
            _ = try await plane.executions.keepDeadlines()
            let over = try await plane.execution(running)
            #expect(over.state == .timedOut)
            #expect(over.failure?.code == .timedOut)
            // Its worker's late word changes nothing.
            try await worker.complete(AttemptKey(running, 1), Self.report())
            #expect(try await plane.execution(running) == over)
        }
    }
}
