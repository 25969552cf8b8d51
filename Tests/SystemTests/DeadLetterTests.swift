import Base
import TestSupport
import Testing

/// A repository that cannot be reached is tried again, and what was given up is looked at, run again and dropped.
@Suite struct DeadLetterTests {
    @Test func `what was given up is listed with its attempts, runs again once, and can be dropped`() async throws {
        try await withServer(flags: ["--set", "retryDelayMs=100"]) { berth, _ in
            let failed = try await berth.berth(
                "run",
                "--repo",
                "http://127.0.0.1:1/app.git",
                "--agent",
                "command",
                "--environment",
                "new",
                "--host-port",
                "1",
                "true"
            )
            #expect(failed.status == 68, "\(failed.errors)")
            let list = try await berth.json("dlq", "ls")
            let id = try #require(list["items"]?.array?.first?["executionId"]?.string)
            #expect(list["items"]?.array?.count == 1)
            let shown = try await berth.berth("dlq", "show", id)
            #expect(shown.output.contains("given up after 3 failures"))
            #expect(shown.output.components(of: "repository_unreachable") == 3, "\(shown.output)")
            #expect(try await berth.berth("show", id).output.components(of: "requeued") == 2)

            let again = try await berth.json("dlq", "retry", id)
            let retried = try #require(again["id"]?.string)
            #expect(again["retryOf"]?.string == id)
            let second = try await berth.berth("dlq", "retry", id)
            #expect(second.status == 73)
            #expect(second.errors.contains(retried))
            _ = try await berth.berth("logs", "-f", retried)
            #expect(try await berth.json("show", id)["status"]?.string == "failed")
            #expect(try await berth.json("dlq", "ls")["items"]?.array?.count == 2)

            for letter in [id, retried] {
                #expect(try await berth.berth("dlq", "drop", letter).status == 0)
                #expect(try await berth.berth("dlq", "retry", letter).status == 66)
            }
            #expect(try await berth.json("dlq", "ls")["items"]?.array?.isEmpty == true)
        }
    }
}

extension String {
    fileprivate func components(of word: String) -> Int { ranges(of: word).count }
}
