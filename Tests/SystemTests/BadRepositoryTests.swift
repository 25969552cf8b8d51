import Base
import TestSupport
import Testing

/// Repositories that cannot be worked on.
@Suite struct BadRepositoryTests {
    private static func run(_ berth: Installation, _ url: String, _ port: Int, _ more: String...) async throws
        -> CommandResult
    {
        try await TestSupport.run(
            berth.prefix + [ProgramLocation.path("berth"), "run", "--repo", url, "--agent", "command"]
                + ["--environment", "new", "--host-port", "\(port)"] + more + ["true"],
            environment: berth.environment.merging(["TOKEN": "right-token"]) { $1 },
            within: .seconds(100)
        )
    }

    @Test func `a repository that never answers ends by its own deadline and leaves nothing running`() async throws {
        try await withServer(flags: ["--set", "maxFailures=1"]) { berth, _ in
            let silent = try await ScriptedPeer("silent_server.py", [])
            let result = try await Self.run(berth, "http://127.0.0.1:\(silent.port)/app.git", silent.port)
            #expect(result.status == 68, "\(result.errors)")
            let execution = try await berth.newestExecution()
            #expect(execution["failure"]?["code"]?.string == "repository_unreachable")
            let left = try await TestSupport.run(["pgrep", "-f", "127.0.0.1:\(silent.port)/app.git"])
            #expect(left.output.isEmpty)
        }
    }

    @Test func `an empty repository, a missing reference and wrong credentials each have their name`() async throws {
        try await withServer { berth, _ in
            let folder = berth.directory
            let seed = folder.file("seed")
            try folder.write("one\n", to: "seed/README.md")
            try await check(["git", "init", "-q", "-b", "main", seed])
            try await check(["git", "-C", seed, "add", "."])
            let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
            try await check(["git", "-C", seed] + identity + ["commit", "-qm", "seed"])
            try await check(["git", "clone", "-q", "--bare", seed, folder.file("repositories/app.git")])
            try await check(["git", "init", "-q", "--bare", "-b", "main", folder.file("repositories/empty.git")])
            let login = "x-access-token:right-token"
            let git = try await ScriptedPeer("git_http_server.py", [folder.file("repositories"), login])
            let base = "http://127.0.0.1:\(git.port)"
            func code() async throws -> String? { try await berth.newestExecution()["failure"]?["code"]?.string }

            let locked = try await Self.run(berth, base + "/app.git", git.port)
            #expect(locked.status == 77, "\(locked.errors)")
            #expect(try await code() == "repository_credentials")
            #expect(!locked.errors.contains("right-token"))
            _ = try await Self.run(berth, base + "/app.git", git.port, "--base", "nope", "--git-secret", "TOKEN")
            #expect(try await code() == "reference_not_found")
            _ = try await Self.run(berth, base + "/empty.git", git.port, "--base", "main", "--git-secret", "TOKEN")
            #expect(["repository_empty", "reference_not_found"].contains(try await code()))
            for branch in ["a b", "-x", "a..b", "x.lock", "@{u}", "a~1", "/a", "a//b"] {
                let odd = try await Self.run(berth, base + "/app.git", git.port, "--branch", branch)
                #expect(odd.status == 64, "\(branch): \(odd.errors)")
                #expect(odd.errors.contains("branch"), "\(branch): \(odd.errors)")
            }
            let named = "--branch=feature/größe_ünïcode.v1@2"
            let odd = try await Self.run(berth, base + "/app.git", git.port, named, "--git-secret", "TOKEN")
            #expect(odd.status == 0, "\(odd.errors)")
        }
    }
}
