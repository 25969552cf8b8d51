import Base
import FoundationEssentials
import TestSupport
import Testing

/// Programs on terminals, through the shipped programs: what viewers get is what was written, whatever dies meanwhile.
@Suite struct TerminalTests {
    /// Numbered lines and every byte there is, for about four seconds; their digest into a file at the end.
    private static let writer = """
        import hashlib, os, sys, time
        os.system("stty raw")
        digest = hashlib.sha256()
        for number in range(3000):
            line = b'%06d ' % number + bytes(range(256)) + b'\\n'
            digest.update(line)
            while line: line = line[os.write(1, line):]
            if number % 10 == 0: time.sleep(0.01)
        open(sys.argv[1], 'w').write(digest.hexdigest())
        """

    private func digest(of bytes: [UInt8]) async throws -> String {
        let folder = try TemporaryDirectory("digest")
        try Data(bytes).write(to: URL(filePath: folder.file("bytes")))
        return String(try await check(["sha256sum", folder.file("bytes")]).prefix(64))
    }

    @Test(arguments: ["local", "host"])
    func `two viewers see every byte through kills of server and worker`(provider: String) async throws {
        try await withServer { berth, server in
            _ = try await berth.json("env", "create", "build", "--provider", provider)
            let sum = provider == "host" ? berth.directory.file("sum") : "/tmp/sum"
            let opened = try await berth.berth(
                "terminal",
                "open",
                "build",
                "--detach",
                "--name",
                "work",
                "--",
                "python3",
                "-c",
                Self.writer,
                sum
            )
            #expect(opened.status == 0, "\(opened.errors)")
            let one = try berth.starting("terminal", "attach", "build", "work", "--from", "0")
            let two = try berth.starting("terminal", "attach", "build", "work", "--from", "0", "--read-only")
            _ = try await one.line(containing: "000400 ")
            try await check(["sh", "-c", CrashTests.killWorkers(of: berth)])
            _ = try await one.line(containing: "000800 ")
            let address = try #require(String(decoding: server.standardError, as: UTF8.self).firstAddress)
            server.signal(9)
            _ = try await server.exit()
            let second = try await berth.serve(listen: address)
            #expect(try await one.exit(within: .seconds(120)) == 0)
            #expect(try await two.exit(within: .seconds(120)) == 0)
            let seen = try await digest(of: one.standardOutput)
            #expect(try await digest(of: two.standardOutput) == seen)
            #expect(one.standardOutput.count == 3000 * 264)
            let told =
                provider == "host"
                ? try await check(["cat", sum]) : try await berth.berth("exec", "-e", "build", "--", "cat", sum).output
            #expect(told.trimmed == seen)
            let again = try berth.starting("terminal", "output", "build", "work")
            #expect(try await again.exit() == 0)
            #expect(try await digest(of: again.standardOutput) == seen)
            await berth.destroyEverything()
            second.signal(15)
            _ = try await second.exit()
        }
    }

    @Test func `a shell takes what is typed and its status is the command's`() async throws {
        try await withServer { berth, _ in
            _ = try await berth.json("env", "create", "build", "--provider", "host")
            let result = try await TestSupport.run(
                [ProgramLocation.path("berth"), "terminal", "open", "build", "--", "/bin/sh"],
                environment: berth.environment,
                input: "echo marker-$((40+2)) $(stty size)\nexit 3\n"
            )
            #expect(result.status == 3, "\(result.errors)")
            #expect(result.output.contains("marker-42 24 80"))
            let list = try await berth.berth("terminal", "ls", "build")
            #expect(list.output.contains("exited 3"), "\(list.output)")
            let gone = try await berth.berth("terminal", "rm", "build", "shell")
            #expect(gone.status == 0, "\(gone.errors)")
        }
    }

    @Test func `a viewer that reads nothing holds up neither the program nor the others`() async throws {
        try await withServer { berth, _ in
            _ = try await berth.json("env", "create", "build", "--provider", "host")
            let opened = try await berth.berth(
                "terminal",
                "open",
                "build",
                "-d",
                "--name",
                "burst",
                "--",
                "sh",
                "-c",
                "echo ready; read line; stty raw; head -c 30000000 /dev/zero; echo; echo done-writing"
            )
            #expect(opened.status == 0, "\(opened.errors)")
            let slow = try berth.starting("terminal", "attach", "build", "burst", "--from", "0")
            _ = try await slow.line(containing: "ready")
            slow.signal(19)
            let typed = try await TestSupport.run(
                [ProgramLocation.path("berth"), "terminal", "attach", "build", "burst", "--from", "0"],
                environment: berth.environment,
                input: "\n"
            )
            #expect(typed.status == 0, "\(typed.errors)")
            #expect(typed.output.contains("done-writing"))
            slow.signal(18)
            do {
                #expect(try await slow.exit(within: .seconds(60)) == 0)
            } catch {
                let state = try await berth.berth("terminal", "ls", "build", "--json").output
                let told = String(decoding: slow.standardError, as: UTF8.self)
                Issue.record("\(slow.standardOutput.count) bytes came; \(told); \(state)")
            }
            #expect(slow.standardOutput.count >= 30_000_000)
        }
    }

    @Test func `what cannot be is refused in words, and nothing is left of it`() async throws {
        try await withServer { berth, _ in
            _ = try await berth.json("env", "create", "build", "--provider", "host")
            let cases: [([String], Int32, String)] = [
                (["attach", "build", "nobody"], 66, "there is no terminal 'nobody'"),
                (["attach", "nowhere", "x"], 66, "nowhere"),
                (["open", "build", "--name", "A B"], 64, "no name for a terminal"),
                (["open", "build", "--", "/no/such/program"], 64, "/no/such/program"),
                (["open", "build", "--workdir", "/no/such/place"], 64, "/no/such/place"),
                (["open", "build", "--workspace", "ws_../../etc"], 66, "ws_"),
                (["attach", "build", "x", "--from", "soon"], 64, "whole number"),
            ]
            for (arguments, status, words) in cases {
                let result = try await berth.run(["terminal"] + arguments)
                #expect(result.status == status, "\(arguments): \(result.errors)")
                #expect(result.errors.contains(words), "\(arguments): \(result.errors)")
            }
            #expect(try await berth.json("terminal", "ls", "build")["items"]?.array?.isEmpty == true)
        }
    }
}
