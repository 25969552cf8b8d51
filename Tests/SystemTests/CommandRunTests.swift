import Base
import TestSupport
import Testing

@Suite struct CommandRunTests {
    @Test func `a command's output, errors and exit status come back as they are`() async throws {
        try await withServer { berth, _ in
            let result = try await berth.berth("exec", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
            #expect(result.output == "out\n")
            #expect(result.errors.contains("err\n"))
            #expect(result.status == 7)
            let execution = try await berth.newestExecution()
            #expect(execution["status"]?.string == "failed")
            #expect(execution["exitCode"]?.integer == 7)
        }
    }

    @Test func `a program that does not exist is never a success`() async throws {
        try await withServer { berth, _ in
            let result = try await berth.berth("exec", "--", "no-such-program")
            #expect(result.status != 0)
            #expect(result.errors.contains("no-such-program"))
            #expect(try await berth.newestExecution()["failure"]?["code"]?.string == "agent_missing")
        }
    }

    @Test func `a run past its time limit ends with every process of its tree`() async throws {
        try await withServer { berth, _ in
            let marker = "berth-left-behind-\(berth.directory.path.suffix(6))"
            let script = "setsid sh -c 'exec -a \(marker) sleep 987' & exec sleep 987"
            let result = try await berth.berth("exec", "--timeout", "1s", "--", "bash", "-c", script)
            #expect(result.status == 124)
            #expect(try await berth.newestExecution()["status"]?.string == "timedOut")
            let left = try await run(["pgrep", "-f", marker])
            #expect(left.output.isEmpty)
        }
    }

    @Test func `a cancelled run says by whom and exits with 130`() async throws {
        try await withServer { berth, _ in
            let running = try berth.starting("exec", "--", "sh", "-c", "echo started; sleep 987")
            _ = try await running.line(containing: "started")
            let id = try #require(try await berth.json("ls")["items"]?.array?.first?["id"]?.string)
            let cancelled = try await berth.berth("cancel", id)
            #expect(cancelled.status == 0)
            #expect(try await running.exit() == 130)
            let execution = try await berth.json("show", id)
            #expect(execution["status"]?.string == "cancelled")
            #expect(execution["cancelledBy"]?.string != nil)
        }
    }

    @Test func `output past the cap is counted, hashed and kept at both ends`() async throws {
        try await withServer { berth, _ in
            let script = "head -c 3000000 /dev/zero | tr '\\0' a; printf END"
            let result = try await berth.berth("exec", "--max-output", "1000000", "--", "sh", "-c", script)
            #expect(result.status == 0)
            let mark = try await berth.newestExecution()["report"]?["stdout"]
            #expect(mark?["totalBytes"]?.integer == 3_000_003)
            #expect(mark?["headBytes"]?.integer == 1_000_000)
            #expect(mark?["tailBytes"]?.integer == 65_536)
            let digest = try await check(["sh", "-c", "{ \(script); } | sha256sum"])
            #expect(mark?["sha256"]?.string == String(digest.prefix(64)))
            #expect(result.output.hasSuffix("END"))
        }
    }
}
