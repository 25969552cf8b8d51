import Base
import Glibc
import TestSupport
import Testing

/// The server's disk, a small one of its own, runs full and gets room again.
@Suite(.enabled(if: geteuid() == 0)) struct FullDiskTests {
    @Test func `a full disk is said, loses nothing, and with room again everything goes on`() async throws {
        let directory = try TemporaryDirectory("full")
        let disk = directory.file("disk")
        guard mkdir(disk, 0o755) == 0 else { throw SystemFailure("mkdir", errno) }
        // A mount namespace that lives as long as this process; all commands join it.
        let keeper = try ChildProcess([
            "unshare", "-m", "--propagation", "private", "sh", "-c",
            "mount -t tmpfs -o size=32m none '\(disk)' && echo mounted && exec cat",
        ])
        _ = try await keeper.line(containing: "mounted")
        let inside = ["nsenter", "-m", "-t", "\(keeper.pid)"]
        let place = try Installation(prefix: inside, directory: directory, data: disk + "/data")
        try await withServer(place) { berth, server in
            #expect(try await berth.berth("exec", "--", "echo", "before").output == "before\n")
            let first = try #require(try await berth.newestExecution()["id"]?.string)
            // Runs through the time without room.
            let counting = "for i in $(seq 400); do echo line $i; sleep 0.01; done; echo end"
            let running = try berth.starting("exec", "--", "bash", "-c", counting)
            _ = try await running.line(containing: "line 20")
            let fill = disk + "/fill"
            try await check(inside + ["sh", "-c", "cat /dev/zero >'\(fill)' 2>/dev/null; df '\(disk)' | grep -q 100%"])

            let refused = try await berth.berth("exec", "--", "echo", "during")
            #expect(refused.status == 74, "\(refused.errors)")
            #expect(refused.errors.contains("full"))
            let answer = try await berth.json("show", first)
            #expect(answer["status"]?.string == "completed")
            #expect(try await berth.berth("logs", first).output == "before\n")
            #expect(!server.hasEnded)

            try await check(inside + ["rm", fill])
            #expect(try await running.exit(within: .seconds(60)) == 0)
            let expected = (1...400).map { "line \($0)\n" }.joined() + "end\n"
            #expect(String(decoding: running.standardOutput, as: UTF8.self) == expected)
            let after = try await berth.berth("exec", "--", "echo", "after")
            #expect(after.output == "after\n", "\(after.errors)")
            #expect(!server.hasEnded)
        }
    }
}
