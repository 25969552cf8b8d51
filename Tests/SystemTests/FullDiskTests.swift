import Base
import Glibc
import TestSupport
import Testing

/// The server's disk, a small one of its own, runs full and gets room again.
@Suite(.enabled(if: geteuid() == 0)) struct FullDiskTests {
    @Test func `a full disk is said, loses nothing, and with room again everything goes on`() async throws {
        try await withSmallDisk { berth, server, inside, disk in
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

    @Test func `a run that ends while the disk stays full is told of when there is room`() async throws {
        try await withSmallDisk { berth, server, inside, disk in
            #expect(try await berth.berth("exec", "--", "echo", "before").output == "before\n")
            // Its command in the list of processes tells when it has ended.
            let name = "ends-\(disk.split(separator: "/").dropLast().last ?? "")"
            let script = "for i in $(seq 50); do echo line $i; done; sleep 4; echo last; exit 5"
            let running = try berth.starting("exec", "--", "bash", "-c", script, name)
            _ = try await running.line(containing: "line 50")
            let id = try #require(try await berth.newestExecution()["id"]?.string)
            let fill = disk + "/fill"
            try await check(inside + ["sh", "-c", "cat /dev/zero >'\(fill)' 2>/dev/null; df '\(disk)' | grep -q 100%"])
            try await check([
                "sh", "-c",
                "for i in $(seq 600); do pgrep -f '^bash -c for i in .*\(name)$' >/dev/null || exit 0; sleep .1; done; exit 1",
            ])
            let status = try await berth.berth("status")
            #expect(status.status == 0, "\(status.errors)")
            #expect(status.output.contains("full"), "\(status.output)")
            #expect(try await berth.json("show", id)["status"]?.string == "running")
            #expect(!running.hasEnded && !server.hasEnded)

            try await check(inside + ["rm", fill])
            #expect(try await running.exit(within: .seconds(90)) == 5)
            let expected = (1...50).map { "line \($0)\n" }.joined() + "last\n"
            #expect(String(decoding: running.standardOutput, as: UTF8.self) == expected)
            let record = try await berth.json("show", id)
            #expect(record["status"]?.string == "failed" && record["exitCode"]?.integer == 5, "\(record)")
            #expect(!(try await berth.berth("status")).output.contains("full"))
        }
    }

    /// A server whose data is on a disk of 32 MB; commands that begin with `inside` see it.
    private func withSmallDisk(
        _ body: (_ berth: Installation, _ server: ChildProcess, _ inside: [String], _ disk: String) async throws -> Void
    ) async throws {
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
        try await withServer(place) { berth, server in try await body(berth, server, inside, disk) }
    }
}
