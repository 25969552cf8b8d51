import Base
import FoundationEssentials
import TestSupport
import Testing

/// The real Claude CLI in a sandbox, driven by a scripted model endpoint, on a repository behind `git http-backend`.
@Suite struct ClaudeRunTests {
    private struct Scene {
        var berth: Installation
        var model: ScriptedPeer
        var git: ScriptedPeer
        var requests: String
        var provider: String

        var repository: String { "http://127.0.0.1:\(git.port)/app.git" }

        func run(_ more: String..., key: String = "sk-scripted") async throws -> CommandResult {
            try await TestSupport.run(
                [ProgramLocation.path("berth"), "run", "--repo", repository, "--environment", "new"]
                    + ["--provider", provider]
                    + ["--host-port", String(git.port), "--host-port", String(model.port)]
                    + ["--env", "ANTHROPIC_BASE_URL=http://127.0.0.1:\(model.port)"]
                    + ["--secret", "ANTHROPIC_API_KEY", "--git-secret", "GIT_TOKEN"]
                    + more + ["fix the failing test"],
                environment: berth.environment.merging(
                    ["ANTHROPIC_API_KEY": key, "GIT_TOKEN": "tok-93b1f"]
                ) { $1 },
                within: .seconds(300)
            )
        }

        func requestsSeen() throws -> [JSONValue] {
            try String(contentsOfFile: requests, encoding: .utf8).split(separator: "\n").map {
                try JSONDecoder().decode(JSONValue.self, from: Data($0.utf8))
            }
        }
    }

    private func withScene(
        _ steps: String,
        provider: String = "local",
        _ body: (Scene) async throws -> Void
    ) async throws {
        let variables = provider == "docker" ? ["BERTH_DOCKER_SOCKET": try await DockerEngine.shared().socket] : [:]
        let folder = try TemporaryDirectory("system")
        // A short name: on `host` the sockets of git's credentials lie deep below it, and a socket's path is 107 bytes.
        let place = try Installation(variables: variables, directory: folder, data: folder.file("d"))
        try await withServer(place) { berth, _ in
            let origin = folder.file("repositories/app.git")
            try folder.write("def add(a, b):\n    return a - b\n", to: "seed/app.py")
            let seed = folder.file("seed")
            try await check(["git", "init", "-q", "-b", "main"], directory: seed)
            try await check(["git", "add", "."], directory: seed)
            try await check(
                ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "seed"],
                directory: seed
            )
            try await check(["git", "clone", "-q", "--bare", seed, origin])
            let script = try folder.write(steps, to: "model.json")
            let requests = try folder.write("", to: "requests.jsonl")
            let model = try await ScriptedPeer("model_endpoint.py", [script, requests])
            let git = try await ScriptedPeer(
                "git_http_server.py",
                [folder.file("repositories"), "x-access-token:tok-93b1f"]
            )
            try await body(Scene(berth: berth, model: model, git: git, requests: requests, provider: provider))
        }
    }

    private static let fix = #"""
        [{"text":"I will look at the code.","tools":[["Bash",{"command":"cat app.py","description":"read"}]]},
         {"tools":[["Write",{"file_path":"app.py","content":"def add(a, b):\n    return a + b\n"}]]},
         {"tools":[["Bash",{"command":"PYTHONDONTWRITEBYTECODE=1 python3 -c 'import app; assert app.add(1, 2) == 3' && git add -A && git commit -qm 'Add instead of subtracting'","description":"test"}]]},
         {"text":"The test passes now."}]
        """#

    @Test(arguments: ["local", "docker", "microvm", "host"])
    func `a task becomes a pushed branch with the agent's commit`(_ provider: String) async throws {
        try await withScene(Self.fix, provider: provider) { scene in
            let result = try await scene.run("--push", "--branch", "berth/fix-add")
            #expect(result.status == 0, "\(result.output)\n\(result.errors)")
            let text = result.output + result.errors
            #expect(text.contains("The test passes now."))
            #expect(text.contains("berth/fix-add"))
            #expect(text.contains("app.py"))

            let origin = scene.berth.directory.file("repositories/app.git")
            let pushed = try await check(["git", "-C", origin, "show", "berth/fix-add:app.py"])
            #expect(pushed == "def add(a, b):\n    return a + b")
            let subject = try await check(["git", "-C", origin, "log", "-1", "--format=%s", "berth/fix-add"])
            #expect(subject == "Add instead of subtracting")
            let files = try await check(["git", "-C", origin, "ls-tree", "-r", "--name-only", "berth/fix-add"])
            #expect(files == "app.py")

            let execution = try await scene.berth.newestExecution()
            #expect(execution["status"]?.string == "completed")
            #expect(execution["report"]?["workspace"]?["pushed"]?.bool == true)
            #expect((execution["report"]?["verdict"]?["usage"]?["turns"]?.integer ?? 0) >= 3)
            #expect(execution["agentSessionId"]?.string != nil)
            let turns = try scene.requestsSeen().filter { $0["step"]?.integer != nil }
            #expect(turns.compactMap { $0["step"]?.integer } == [0, 1, 2, 3])
            let prompt = try #require(turns.first.map { "\($0)" })
            #expect(prompt.contains("fix the failing test"))
        }
    }

    @Test func `what the agent did arrives in the order in which it did it`() async throws {
        try await withScene(Self.fix) { scene in
            let result = try await scene.run("--json")
            #expect(result.status == 0, "\(result.output)\n\(result.errors)")
            let kinds = result.output.split(separator: "\n").compactMap { line -> String? in
                guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(line.utf8)) else { return nil }
                return value["data"]?["type"]?.string ?? value["type"]?.string
            }
            let order = [
                "started", "text", "toolCall", "toolResult", "toolCall", "toolResult", "toolCall", "toolResult",
            ]
            var rest = order[...]
            for kind in kinds where kind == rest.first { rest = rest.dropFirst() }
            #expect(rest.isEmpty, "missing \(rest) in \(kinds)")
        }
    }

    @Test func `a refused key is a typed failure with its own exit status`() async throws {
        let refusal = #"[{"status":401,"error":"authentication_error","message":"invalid x-api-key"}]"#
        try await withScene(refusal) { scene in
            let result = try await scene.run()
            #expect(result.status == 77, "\(result.output)\n\(result.errors)")
            #expect(try await scene.berth.newestExecution()["failure"]?["code"]?.string == "key_refused")
        }
    }

    @Test func `an endpoint that breaks off half-way is a failure that says so`() async throws {
        let steps =
            #"[{"text":"starting","tools":[["Bash",{"command":"true","description":"t"}]]},{"status":400,"error":"invalid_request_error","message":"scripted end"}]"#
        try await withScene(steps) { scene in
            let result = try await scene.run()
            #expect(result.status != 0)
            let execution = try await scene.berth.newestExecution()
            #expect(execution["status"]?.string == "failed")
            #expect(execution["failure"]?["message"]?.string?.isEmpty == false)
        }
    }

    @Test func `an endpoint that hangs ends at the time limit`() async throws {
        try await withScene(#"[{"hang":true}]"#) { scene in
            let result = try await scene.run("--timeout", "5s")
            #expect(result.status == 124, "\(result.output)\n\(result.errors)")
            #expect(try await scene.berth.newestExecution()["failure"]?["code"]?.string == "timed_out")
        }
    }

    @Test func `no credential is found in any file of the server or of the environment`() async throws {
        try await withScene(Self.fix) { scene in
            let result = try await scene.run("--push", key: "sk-secret-6f2e91")
            #expect(result.status == 0, "\(result.output)\n\(result.errors)")
            for secret in ["tok-93b1f", "sk-secret-6f2e91"] {
                let found = try await check(["python3", ScriptedPeer.path("find_bytes.py"), scene.berth.data, secret])
                #expect(found.isEmpty, "\(secret) is in \(found)")
            }
        }
    }
}
