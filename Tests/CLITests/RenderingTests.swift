import API
import Base
import Domain
import Testing

@testable import CLI

@Suite struct RenderingTests {
    private let plain = Style(isColored: false)

    private func execution(_ status: ExecutionStatus, exit: Int32? = nil, _ failure: FailureReason? = nil) throws
        -> Execution
    {
        var execution = Execution(
            id: try ExecutionID("exec_01jd0000000000000000000000"),
            status: status,
            agent: .command,
            attempt: 1,
            title: "x",
            createdAt: Timestamp(milliseconds: 0),
            config: RunConfig()
        )
        execution.exitCode = exit
        execution.failure = failure
        return execution
    }

    @Test func `a program exits with the run's outcome, and never with 0 for one that failed`() throws {
        #expect(try execution(.completed, exit: 0).exitStatus == 0)
        #expect(try execution(.failed, exit: 7, FailureReason(.agentFailed, "x")).exitStatus == 7)
        #expect(try execution(.failed, exit: 0, FailureReason(.agentFailed, "x")).exitStatus == 1)
        #expect(try execution(.failed, FailureReason(.agentMissing, "x")).exitStatus == 69)
        #expect(try execution(.failed, exit: 1, FailureReason(.keyRefused, "x")).exitStatus == 77)
        #expect(try execution(.failed, FailureReason(.environmentLost, "x")).exitStatus == 71)
        #expect(try execution(.timedOut).exitStatus == 124)
        #expect(try execution(.cancelled).exitStatus == 130)
        #expect(try execution(.failed).exitStatus == 1)
        for code in [ErrorCode.network, .diskFull, .infrastructureLost, .internal, .costCapReached] {
            #expect(try execution(.failed, exit: 0, FailureReason(code, "x")).exitStatus != 0)
        }
    }

    @Test func `what an agent does is one line each, results at most four`() {
        let renderer = AgentRenderer(style: plain, width: 40)
        #expect(renderer.text(.text("  Hello.\n")) == "Hello.\n")
        #expect(
            renderer.text(.toolCall(id: "1", name: "Bash", input: #"{"command":"ls -la\nrm x"}"#)) == "▸ Bash ls -la\n"
        )
        #expect(
            renderer.text(.toolResult(id: "1", content: "a\nb\nc\nd\ne", isError: false))
                == "  a\n  b\n  c\n  … 2 more lines\n"
        )
        let long = renderer.text(.toolResult(id: "1", content: String(repeating: "x", count: 100), isError: true))
        #expect(long?.count == 2 + 38 + 1)
    }

    @Test func `the end names branch, commits, changes, cost and time`() throws {
        var ended = try execution(.completed, exit: 0)
        ended.durationMs = 83_400
        ended.usage = AgentUsage(inputTokens: 1200, outputTokens: 30, costUSD: 0.0123, turns: 3)
        ended.report = ExecutionReport(
            outcome: .completed,
            durationMs: 83_400,
            workspace: WorkspaceOutcome(
                branch: "berth/fix-1",
                baseCommit: nil,
                headCommit: nil,
                commits: [.init(id: "0123456789abcdef", subject: "Fix it")],
                files: [
                    .init(path: "a", additions: 4, deletions: 2), .init(path: "b", additions: nil, deletions: nil),
                ],
                pushed: true
            )
        )
        #expect(
            OutcomeText.text(ended, style: plain) == """
                ✓ completed exec_01jd0000000000000000000000
                  branch berth/fix-1 (pushed)
                  012345678 Fix it
                  2 files changed, +4 −2
                  1 m 23 s · $0.0123 · 3 turns · 1200 + 30 tokens

                """
        )
    }

    @Test func `help of exec is as it was`() {
        #expect(
            Help.text(for: ExecCommand.command, style: plain).split(separator: "\n").prefix(7).joined(separator: "\n")
                == """
                berth exec — Run a command in an environment.
                Usage: berth exec [options] COMMAND…
                Standard output and standard error stay apart and are exact. Exits with the command's own status.
                Ctrl-C cancels it: the whole process tree ends.
                Arguments:
                  COMMAND…  program and its arguments
                Options:
                """
        )
    }
}
