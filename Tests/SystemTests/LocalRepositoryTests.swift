import Base
import FoundationEssentials
import TestSupport
import Testing

/// A repository of the person's own machine in, a finished branch in the same repository out.
@Suite struct LocalRepositoryTests {
    /// A repository with one commit on `main`, in a directory with a space and an accent in its name.
    private static func repository(_ berth: Installation, _ name: String = "my äpp") async throws -> String {
        let path = berth.directory.file(name)
        try berth.directory.write("one\n", to: "\(name)/README.md")
        try await git(["init", "-q", "-b", "main"], in: path)
        try await commit("First", in: path)
        return path
    }

    @discardableResult
    private static func git(_ arguments: [String], in path: String) async throws -> String {
        try await check(["git", "-C", path, "-c", "user.name=t", "-c", "user.email=t@localhost"] + arguments)
    }

    private static func commit(_ subject: String, in path: String) async throws {
        try await git(["add", "--all"], in: path)
        try await git(["commit", "-q", "-m", subject], in: path)
    }

    private static func run(
        _ berth: Installation,
        _ path: String,
        _ script: String,
        _ more: [String] = [],
        directory: String? = nil
    ) async throws -> CommandResult {
        try await TestSupport.run(
            [ProgramLocation.path("berth"), "run", "--repo", path, "--agent", "command"] + more + [script],
            environment: berth.environment,
            directory: directory,
            within: .seconds(120)
        )
    }

    @Test func `a task's branch appears in the repository, and nothing else changes there`() async throws {
        try await withServer { berth, _ in
            let path = try await Self.repository(berth)
            try berth.directory.write("mine\n", to: "my äpp/README.md")
            try berth.directory.write("draft\n", to: "my äpp/draft.txt")
            let script = "cat README.md; test ! -e draft.txt && echo two > two.txt"
            let result = try await Self.run(berth, ".", script, ["--branch", "berth/two"], directory: path)
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output == "one\n")
            #expect(result.errors.contains("1 changed file and 1 untracked file or directory"))
            #expect(result.errors.contains("berth/two"))
            #expect(try await Self.git(["show", "berth/two:two.txt"], in: path) == "two")
            #expect(try await Self.git(["branch", "--show-current"], in: path) == "main")
            #expect(try await Self.git(["status", "--porcelain"], in: path) == " M README.md\n?? draft.txt")
            #expect(
                try await Self.git(["for-each-ref", "--format=%(refname)"], in: path)
                    == "refs/heads/berth/two\nrefs/heads/main"
            )

            // Again under the same name, from the same base: the first one stays.
            let again = try await Self.run(
                berth,
                path,
                "echo 2 > two.txt",
                ["--branch", "berth/two", "--base", "main"]
            )
            #expect(again.status == 0, "\(again.errors)")
            #expect(again.errors.contains("berth/two-2"))
            #expect(try await Self.git(["show", "berth/two:two.txt"], in: path) == "two")
            #expect(try await Self.git(["show", "berth/two-2:two.txt"], in: path) == "2")

            // On the branch that is there: it moves on.
            let onward = try await Self.run(berth, path, "cat two.txt; echo 3 > three.txt", ["--branch", "berth/two"])
            #expect(onward.output == "two\n", "\(onward.errors)")
            #expect(
                try await Self.git(["log", "--format=%s", "main..berth/two"], in: path).split(separator: "\n").count
                    == 2
            )
        }
    }

    @Test func `a detached run's branch is fetched later, also by json`() async throws {
        try await withServer { berth, _ in
            let path = try await Self.repository(berth, "app")
            let started = try await Self.run(berth, path, "echo x > x.txt", ["--detach", "--branch", "later"])
            #expect(started.status == 0, "\(started.errors)")
            let id = started.output.trimmed
            _ = try await berth.berth("logs", "-f", id)
            let fetched = try await berth.json("fetch", id, "--into", path)
            #expect(fetched["branch"]?.string == "later")
            #expect(try await Self.git(["show", "later:x.txt"], in: path) == "x")
            let again = try await berth.berth("fetch", id, "--into", path)
            #expect(again.output.contains("already"))
        }
    }

    @Test func `an empty, a bare, a linked and a nested place each serve`() async throws {
        try await withServer { berth, _ in
            let empty = berth.directory.file("empty")
            try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: false)
            try await Self.git(["init", "-q"], in: empty)
            let first = try await Self.run(berth, empty, "echo 1 > a.txt", ["--branch", "start"])
            #expect(first.status == 0, "\(first.errors)")
            #expect(try await Self.git(["show", "start:a.txt"], in: empty) == "1")

            let path = try await Self.repository(berth, "app")
            let bare = berth.directory.file("bare.git")
            try await check(["git", "clone", "-q", "--bare", path, bare])
            #expect(try await Self.run(berth, bare, "echo 1 > a.txt", ["--branch", "b"]).status == 0)
            #expect(try await Self.git(["show", "b:a.txt"], in: bare) == "1")

            let linked = berth.directory.file("linked")
            try await Self.git(["worktree", "add", "-q", "-b", "side", linked], in: path)
            // The branch of the other worktree is in use, so the result gets a name of its own.
            let side = try await Self.run(berth, linked, "echo 1 > a.txt", ["--branch", "side"])
            #expect(side.errors.contains("side-2") && side.errors.contains("checked out"), "\(side.errors)")
            #expect(try await Self.git(["show", "side-2:a.txt"], in: path) == "1")

            try FileManager.default.createDirectory(atPath: path + "/deep/er", withIntermediateDirectories: true)
            let nested = try await Self.run(berth, path + "/deep/er", "ls", ["--branch", "none"])
            #expect(nested.output == "README.md\n", "\(nested.errors)")
        }
    }

    @Test func `a branch comes home though server and worker were killed on the way`() async throws {
        try await withServer { berth, server in
            let path = try await Self.repository(berth, "app")
            let running = try berth.starting(
                "run",
                "--repo",
                path,
                "--agent",
                "command",
                "--branch",
                "task",
                "echo up; sleep 1; echo x > x.txt"
            )
            _ = try await running.line(containing: "up")
            let address = try #require(String(decoding: server.standardError, as: UTF8.self).firstAddress)
            server.signal(9)
            _ = try await server.exit()
            try await check(["sh", "-c", CrashTests.killWorkers(of: berth)])
            let second = try await berth.serve(listen: address)
            #expect(try await running.exit(within: .seconds(90)) == 0)
            #expect(try await Self.git(["show", "task:x.txt"], in: path) == "x")
            await berth.destroyEverything()
            second.signal(15)
            _ = try await second.exit()
        }
    }

    @Test func `what cannot be a repository is said before anything runs`() async throws {
        try await withServer { berth, _ in
            let path = try await Self.repository(berth, "app")
            try await Self.commitMore(path)
            let shallow = berth.directory.file("shallow")
            try await check(["git", "clone", "-q", "--depth", "1", "file://\(path)", shallow])
            for (place, more, words) in [
                (berth.directory.file("absent"), [], "there is no"),
                (berth.directory.path, [], "is no git repository"),
                (path + "/README.md", [], "is no directory"),
                (shallow, [], "--unshallow"),
                (path, ["--base", "nope"], "main"),
                (path, ["--push"], "by itself"),
            ] as [(String, [String], String)] {
                let result = try await Self.run(berth, place, "true", more)
                #expect(result.status != 0)
                #expect(result.errors.contains(words), "\(place): \(result.errors)")
            }
            #expect(try await berth.json("ls")["items"]?.array?.isEmpty == true)
        }
    }

    private static func commitMore(_ path: String) async throws {
        try await check(["sh", "-c", "echo more >> README.md"], directory: path)
        try await commit("Second", in: path)
    }
}
