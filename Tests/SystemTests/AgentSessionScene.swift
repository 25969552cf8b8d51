import Base
import FoundationEssentials
import TestSupport
import Testing

/// An environment with a workspace, agents that are logged in inside it, and the model that they ask.
struct AgentSessionScene: Sendable {
    let berth: Installation
    let workspace: String
    let requests: String
    /// Answers for as long as the scene lasts.
    private let model: ScriptedPeer

    /// - Parameters:
    ///   - steps: of the scripted model, as `model_endpoint.py` takes them.
    ///   - hasLogin: whether the agents find a key and the endpoint.
    static func with(
        _ steps: String,
        provider: String = "host",
        hasLogin: Bool = true,
        flags: [String] = [],
        _ body: (AgentSessionScene, ChildProcess) async throws -> Void
    ) async throws {
        let variables = provider == "docker" ? ["BERTH_DOCKER_SOCKET": try await DockerEngine.shared().socket] : [:]
        try await withServer(Installation(variables: variables), flags: flags) { berth, server in
            let folder = berth.directory
            let script = try folder.write(steps, to: "model.json")
            let requests = try folder.write("", to: "requests.jsonl")
            let model = try await ScriptedPeer("model_endpoint.py", [script, requests])
            try folder.write("seed\n", to: "seed/file.txt")
            let seed = folder.file("seed")
            try await check(["git", "init", "-q", "-b", "main"], directory: seed)
            try await check(["git", "add", "."], directory: seed)
            try await check(
                ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "seed"],
                directory: seed
            )
            let doors = provider == "host" ? [] : ["--host-port", String(model.port)]
            let environment = try await berth.run(["env", "create", "build", "--provider", provider] + doors)
            #expect(environment.status == 0, "\(environment.errors)")
            if hasLogin { try await login(berth, port: model.port) }
            let made = try await berth.berth("run", "--repo", seed, "-e", "build", "--agent", "command", "true")
            #expect(made.status == 0, "\(made.errors)")
            let id = try await berth.json("ws", "ls")["items"]?.array?.first?["id"]?.string
            let workspace = try #require(id)
            try await body(Self(berth: berth, workspace: workspace, requests: requests, model: model), server)
        }
    }

    /// What a person's login leaves inside an environment.
    private static func login(_ berth: Installation, port: Int) async throws {
        let claude =
            #"{"env":{"ANTHROPIC_BASE_URL":"http://127.0.0.1:\#(port)","ANTHROPIC_API_KEY":"sk-scripted"}}"#
        let codex = """
            model = "m1"
            model_provider = "scripted"
            [model_providers.scripted]
            name = "scripted"
            base_url = "http://127.0.0.1:\(port)/v1"
            wire_api = "responses"
            supports_websockets = false
            """
        let write = "mkdir -p ~/.claude ~/.codex; printf %s \"$0\" > ~/.claude/settings.json; "
        let result = try await berth.berth(
            "exec",
            "-e",
            "build",
            "--",
            "sh",
            "-c",
            write + "printf %s \"$1\" > ~/.codex/config.toml",
            claude,
            codex
        )
        #expect(result.status == 0, "\(result.errors)")
    }

    /// `berth session VERB WORKSPACE …`, run to its end.
    @discardableResult
    func session(_ verb: String, _ arguments: String..., status: Int32 = 0) async throws -> CommandResult {
        let result = try await berth.run(["session", verb, workspace] + arguments)
        #expect(result.status == status, "\(verb) \(arguments): \(result.output)\n\(result.errors)")
        return result
    }

    /// Everything that happens in a session, as JSON lines.
    func watch(_ name: String) throws -> ChildProcess {
        try berth.starting("session", "attach", workspace, name, "--from", "0", "--json")
    }

    func state(_ name: String) async throws -> JSONValue {
        let all = try await berth.json("session", "ls", workspace)
        let found = all["items"]?.array?.last { $0["name"]?.string == name }
        return try #require(found)
    }

    /// The events of a session's log.
    func log(_ name: String) async throws -> [JSONValue] {
        try await session("log", name, "--json").output.split(separator: "\n").compactMap { line in
            let value = try JSONDecoder().decode(JSONValue.self, from: Data(line.utf8))
            return value["event"]?.string == "event" ? value["data"] : nil
        }
    }

    func file(_ name: String) async throws -> String {
        let result = try await berth.berth("exec", "-e", "build", "--", "sh", "-c", "cat ~/../workspace/*/\(name)")
        return result.output
    }

    /// The text of what the model was asked last.
    func lastRequest() throws -> String {
        let lines = try String(contentsOfFile: requests, encoding: .utf8).split(separator: "\n")
        return lines.last { $0.contains("\"step\": ") && !$0.contains("\"step\": null") }.map(String.init) ?? ""
    }
}
