import Base
import Domain
import FoundationEssentials
import Glibc
import TestSupport
import Testing
import WorkerProtocol

/// The real Claude CLI against a scripted model endpoint.
@Suite struct ClaudeTests {
    private final class Scene: Sendable {
        let place: WorkerFixture
        let model: ScriptedPeer
        let id: ExecutionID

        init(_ steps: String) async throws {
            place = try await WorkerFixture(path: "\(Self.agents)/claude:/usr/local/bin:/usr/bin:/bin")
            let script = try place.directory.write(steps, to: "model.json")
            model = try await ScriptedPeer("model_endpoint.py", [script, place.directory.file("requests.jsonl")])
            id = place.ids.make()
        }

        /// Where the bootstrap script puts the agents that tests run.
        private static var agents: String {
            func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
            let cache =
                variable("BERTH_CACHE") ?? (variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "") + "/.cache")
                + "/berth"
            return cache + "/agents"
        }

        var key: [String: String] {
            ["ANTHROPIC_BASE_URL": "http://127.0.0.1:\(model.port)", "ANTHROPIC_API_KEY": "sk-scripted-4711"]
        }

        func run(
            _ prompt: String = "do it",
            env: [String: String]? = nil,
            timeoutMs: Int64 = 60_000,
            workspace: WorkspaceRequest? = nil,
            credentials: [ServerMessage.GitCredential] = [],
            maxTurns: Int? = nil
        ) async throws -> ExecutionReport {
            try await place.server.send(
                place.assignment(
                    id,
                    prompt: prompt,
                    env: env ?? key,
                    timeoutMs: timeoutMs,
                    workspace: workspace,
                    credentials: credentials,
                    maxTurns: maxTurns
                )
            )
            return try await place.server.report(id, within: .seconds(90))
        }
    }

    @Test func `an agent edits a checkout behind a password, and its branch is pushed`() async throws {
        let scene = try await Scene(
            #"[{"text":"I write it","tools":[["Bash",{"command":"echo made > made.txt; env > env.txt; cat .git/config > config.txt"}]]},{"text":"{\"user_message\":{\"title\":\"t\"}}\nAll done"}]"#
        )
        let folder = scene.place.directory
        let origin = folder.file("repositories/app.git")
        try folder.write("one\n", to: "seed/a.txt")
        for arguments in [["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "seed"]] {
            try await check(
                ["git", "-c", "user.name=t", "-c", "user.email=t@localhost"] + arguments,
                directory: folder.file("seed")
            )
        }
        try await check(["git", "clone", "-q", "--bare", folder.file("seed"), origin])
        let git = try await ScriptedPeer(
            "git_http_server.py",
            [folder.file("repositories"), "x-access-token:pw-93b1f"]
        )
        let report = try await scene.run(
            "Make the file\nand say so",
            workspace: WorkspaceRequest(
                workspaceID: scene.place.ids.make(),
                directory: "app",
                repositoryURL: "http://127.0.0.1:\(git.port)/app.git",
                branch: "berth/make",
                push: true
            ),
            credentials: [
                .init(scheme: "http", host: "127.0.0.1:\(git.port)", username: "x-access-token", password: "pw-93b1f")
            ]
        )
        #expect(report.outcome == .completed, "\(String(describing: report.failure)) \(scene.place.log)")
        #expect(report.verdict?.text?.hasSuffix("All done") == true)
        #expect(report.model?.isEmpty == false && report.agentSessionID?.isEmpty == false)
        let outcome = try #require(report.workspace)
        #expect(outcome.pushed, "\(outcome.warnings)")
        #expect(outcome.files.map(\.path) == ["config.txt", "env.txt", "made.txt"])
        #expect(outcome.commits.map(\.subject) == ["Make the file"])
        #expect(try await check(["git", "rev-parse", "berth/make"], directory: origin) == outcome.headCommit)
        let seen = try await check(["git", "show", "berth/make:env.txt", "berth/make:config.txt"], directory: origin)
        #expect(seen.contains("sk-scripted-4711"))
        #expect(!seen.contains("pw-93b1f"))
        let messages = await scene.place.server.messages
        #expect(
            messages.contains { if case .event(let event) = $0 { event.eventType == "user_message" } else { false } }
        )
        let stages = messages.compactMap { if case .progress(let progress) = $0 { progress.stage } else { nil } }
        #expect(stages == ["cloning", "starting", "collecting", "pushing"])
        let leak = try await TestSupport.run(
            ["grep", "-rlE", "pw-93b1f|sk-scripted-4711|and say so", folder.file("state")]
        )
        #expect(
            leak.output == folder.file("state/output/\(scene.id)/1/stdout/00000000000000000000\n") || leak.output == ""
        )
    }

    @Test func `a refused key ends the run soon`() async throws {
        let scene = try await Scene(#"[{"status":401,"error":"authentication_error","message":"invalid x-api-key"}]"#)
        let report = try await scene.run()
        #expect(report.failure?.code == .keyRefused)
        #expect(report.durationMs < 20_000)
    }

    @Test func `without any key the login is missing`() async throws {
        let scene = try await Scene(#"[{"text":"never"}]"#)
        var env = scene.key
        env["ANTHROPIC_API_KEY"] = nil
        #expect(try await scene.run(env: env).failure?.code == .loginMissing)
    }

    @Test(arguments: [
        (#"[{"status":429,"error":"rate_limit_error","message":"slow"}]"#, ErrorCode.rateLimited),
        (#"[{"status":500}]"#, .endpointFailed),
        (#"[{"text":"half an answer","cut":0.5}]"#, .network),
    ])
    func `an endpoint that fails is told from one that limits and one that breaks off`(steps: String, code: ErrorCode)
        async throws
    {
        let scene = try await Scene(steps)
        let env = scene.key.merging(["CLAUDE_CODE_MAX_RETRIES": "1"]) { $1 }
        #expect(try await scene.run(env: env).failure?.code == code)
    }

    @Test func `an endpoint that hangs ends at the run's time limit`() async throws {
        let scene = try await Scene(#"[{"hang":true}]"#)
        let report = try await scene.run(timeoutMs: 4000)
        #expect(report.outcome == .timedOut)
    }

    @Test func `the cap on turns holds`() async throws {
        let scene = try await Scene(#"[{"text":"again","tools":[["Bash",{"command":"true"}]]}]"#)
        let report = try await scene.run(maxTurns: 2)
        #expect(report.outcome == .failed)
        #expect(report.failure?.code == .turnCapReached)
    }

    @Test func `a missing CLI is a reason of its own`() async throws {
        let place = try await WorkerFixture()
        let id: ExecutionID = place.ids.make()
        try await place.server.send(place.assignment(id, prompt: "x"))
        #expect(try await place.server.report(id).failure?.code == .agentMissing)
    }

    @Test func `a long prompt arrives whole`() async throws {
        let scene = try await Scene(#"[{"text":"read"}]"#)
        let prompt = String(repeating: "0123456789 ", count: 200_000) + "the-end"
        #expect(try await scene.run(prompt).outcome == .completed)
        let requests = try String(contentsOfFile: scene.place.directory.file("requests.jsonl"), encoding: .utf8)
        #expect(requests.contains("0123456789 the-end"))
    }
}
