import Base
import FoundationEssentials
import TestSupport
import Testing

/// Real full-screen programs, recorded at the PTY, against what viewers got.
@Suite struct TerminalProgramTests {
    @Test func `two viewers get every byte of full-screen programs, whatever breaks`() async throws {
        try await withServer { berth, server in
            _ = try await berth.json("env", "create", "build")
            let program = try String(contentsOfFile: ScriptedPeer.path("terminal_programs.py"), encoding: .utf8)
            let opened = try await berth.run(
                ["terminal", "open", "build", "-d", "--name", "work", "--", "python3", "-c", program, "/tmp/sum"]
            )
            #expect(opened.status == 0, "\(opened.errors)")
            let address = try #require(String(decoding: server.standardError, as: UTF8.self).firstAddress)
            let one = try viewer(berth, seed: 1)
            let two = try viewer(berth, seed: 2)
            let storm = try ChildProcess(
                ["python3", ScriptedPeer.path("size_storm.py"), address, "build", "work", berth.data + "/api-key"],
                environment: berth.environment
            )
            _ = try await one.line(containing: "at 10", within: .seconds(120))
            try await check(["sh", "-c", CrashTests.killWorkers(of: berth)])
            _ = try await one.line(containing: "at 30", within: .seconds(60))
            server.signal(9)
            _ = try await server.exit()
            let second = try await berth.serve(listen: address)
            _ = try await two.line(containing: "at 50", within: .seconds(60))
            try await check(["sh", "-c", CrashTests.killWorkers(of: berth)])
            second.signal(9)
            _ = try await second.exit()
            let third = try await berth.serve(listen: address)
            var seen: [[Substring]] = []
            for viewer in [one, two] {
                let line = try await viewer.line(containing: "saw ", within: .seconds(120))
                seen.append(line.split(separator: " "))
                _ = try await viewer.exit()
            }
            let recorded = try await berth.berth("exec", "-e", "build", "--", "cat", "/tmp/sum").output.split(
                separator: " "
            )
            try #require(recorded.count == 2, "\(recorded)")
            #expect(Int(recorded[1].trimmed) ?? 0 > 104_000_000)
            for line in seen {
                #expect(line.count > 4 && line[1] == recorded[0] && line[2] == recorded[1].trimmed, "\(line)")
                #expect(Int(line[4]) ?? 0 > 5, "\(line)")
            }
            storm.closeInput()
            _ = try await storm.exit()
            let told = String(decoding: storm.standardOutput, as: UTF8.self)
            #expect(told.contains("sizes"), "\(told)")
            await berth.destroyEverything()
            third.signal(15)
            _ = try await third.exit()
        }
    }

    private func viewer(_ berth: Installation, seed: Int) throws -> ChildProcess {
        try ChildProcess(
            ["python3", ScriptedPeer.path("terminal_viewer.py"), "\(seed)", ProgramLocation.path("berth")]
                + ["terminal", "attach", "build", "work", "--read-only", "--from"],
            environment: berth.environment
        )
    }
}
