import Base
import Domain
import Synchronization
import Testing
import WorkerProtocol

@testable import Executions
@testable import Workers

/// Workers that say what no database keeps.
@Suite struct UnstorableTextTests {
    private static let nul = "a\u{0}b"
    private static let mended = "a\u{FFFD}b"

    @Test func `NUL in every text of a report is replaced, and the end is recorded`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker()
            let id = try await plane.executions.create(plane.command("true")).execution.id
            let key = try await worker.assignment().key
            try await worker.say(.progress(.init(executionId: id, attempt: 1, stage: Self.nul, message: Self.nul)))
            try await worker.say(
                .event(
                    .init(executionId: id.text, eventType: Self.nul, payload: .object([Self.nul: .string(Self.nul)]))
                )
            )
            let mark = OutputMark(totalBytes: 0, headBytes: 0, tailBytes: 0, sha256: Self.nul)
            var outcome = WorkspaceOutcome(branch: Self.nul, baseCommit: nil, headCommit: nil)
            outcome.warnings = [Self.nul]
            var report = ExecutionReport(
                outcome: .failed,
                exitCode: 1,
                failure: FailureReason(ErrorCode(rawValue: Self.nul), Self.nul, remedy: Self.nul),
                durationMs: 1,
                agentSessionID: Self.nul,
                model: Self.nul,
                workspace: outcome,
                stdout: mark,
                stderr: mark
            )
            report.verdict = AgentVerdict(isError: true, subtype: Self.nul)
            try await worker.complete(key, report)
            let record = try await plane.execution(id) { $0.state.isTerminal }
            #expect(record.state == .failed)
            #expect(record.failure?.message == Self.mended)
            #expect(record.failure?.code.rawValue == Self.mended)
            #expect(record.report?.model == Self.mended)
            #expect(record.report?.workspace?.warnings == [Self.mended])
            #expect(worker.transport.state.withLock { $0.closed } == nil)
            let types = try await plane.executions.history(id, organization: plane.organization).map(\.type)
            #expect(types.contains("execution.progress") && types.contains("execution.event"))
        }
    }

    @Test func `a documented peer's output keeps its NUL`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker(protocol: nil)
            var request = plane.command()
            request.command = nil
            request.spec.agent = .claude
            request.prompt = "x"
            let id = try await plane.executions.create(request).execution.id
            let key = try await worker.assignment().key
            try await worker.say(.stdout(.init(executionId: id.text, chunk: Self.nul, timestamp: 0)))
            let slice = try await plane.executions.readOutput(key, .stdout, from: 0, limit: 10)
            #expect(slice.bytes == Array(Self.nul.utf8))
        }
    }

    @Test(arguments: [
        [UInt8(ascii: "{"), 0xFF, 0xFE], Array("{\"type\":\"ready\u{0}\"}".utf8), Array(#"{"type":"hello"}"#.utf8),
        Array(#"{"type":"heartbeat","timestamp":"\ud800"}"#.utf8),
    ])
    func `a frame that is no message ends its own connection and nobody else's`(bytes: [UInt8]) async throws {
        try await ControlPlane.with { plane in
            let other = try await plane.standingWorker("other")
            let worker = try await plane.standingWorker("broken")
            await worker.link.receive(text: bytes)
            #expect(try await worker.closed() == 1002)
            #expect(other.transport.state.withLock { $0.closed } == nil)
        }
    }
}
