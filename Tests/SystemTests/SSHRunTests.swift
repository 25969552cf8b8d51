import Base
import FoundationEssentials
import TestSupport
import Testing

/// A repository behind OpenSSH's own server, reached from a sandbox.
@Suite struct SSHRunTests {
    @Test func `a key from a file clones and pushes, and no agent can see it`() async throws {
        try await withServer { berth, _ in
            let origin = berth.directory.file("app.git")
            try await check(["git", "init", "-q", "--bare", "-b", "main", origin])
            let seed = berth.directory.file("seed")
            try await check(["git", "clone", "-q", origin, seed])
            try berth.directory.write("one\n", to: "seed/README.md")
            for arguments in [["add", "."], ["commit", "-qm", "First"], ["push", "-q", "origin", "main"]] {
                let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
                try await check(["git", "-C", seed] + identity + arguments)
            }
            let server = try await SSHServer(in: berth.directory.file("sshd"))
            let secret = try String(contentsOf: URL(filePath: server.clientKey), encoding: .utf8)
                .split(separator: "\n")[2]
            let script = """
                cat README.md
                env; cat .git/config; grep -rl '\(secret.prefix(20))' / --exclude-dir=proc --exclude-dir=sys 2>/dev/null
                echo two > two.txt
                """
            func run(_ key: [String]) async throws -> CommandResult {
                try await TestSupport.run(
                    [ProgramLocation.path("berth"), "run", "--repo", server.url(origin), "--agent", "command"]
                        + ["--host-port", String(server.port), "--push", "--branch", "berth/two"] + key + [script],
                    environment: berth.environment,
                    within: .seconds(120)
                )
            }
            let none = try await run([])
            #expect(none.status == 77, "\(none.errors)")
            #expect(none.errors.contains("--ssh-key"))
            let wrong = try await run(["--ssh-key", server.strangerKey])
            #expect(wrong.errors.contains("refused the given key"), "\(wrong.errors)")

            let result = try await run(["--ssh-key", server.clientKey])
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output.hasPrefix("one\n"))
            #expect(!result.output.contains(secret))
            #expect(!result.output.contains("/ssh-"))
            #expect(try await check(["git", "-C", origin, "show", "berth/two:two.txt"]) == "two")
            // Sealed at rest, and gone from the worker.
            let found = try await TestSupport.run(["grep", "-rlF", String(secret), berth.data])
            #expect(found.output == "")
        }
    }
}
