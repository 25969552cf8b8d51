import Base
import FoundationEssentials
import TestSupport
import Testing

/// The first HTTP paths with the body that their document gives, and the real Claude CLI behind them.
@Suite struct PersonaTests {
    @Test func `a documented request runs claude with the server's own token`() async throws {
        let place = try Installation(variables: ["BERTH_CLAUDE_TOKEN": "sk-ant-oat01-deployment"])
        try await withServer(place) { berth, _ in
            let script = try berth.directory.write(#"[{"text":"4"}]"#, to: "model.json")
            let requests = try berth.directory.write("", to: "requests.jsonl")
            let model = try await ScriptedPeer("model_endpoint.py", [script, requests])
            // The documented body has no variables: the endpoint is in the settings of the personal environment.
            let made = try await berth.berth("env", "create", "personal", "--host-port", "\(model.port)")
            #expect(made.status == 0, "\(made.errors)")
            let settings = #"{"env":{"ANTHROPIC_BASE_URL":"http://127.0.0.1:\#(model.port)"}}"#
            let save = "mkdir -p ~/.claude && cat >~/.claude/settings.json"
            let saved = try await berth.berth("exec", "-i", "--", "sh", "-c", save, input: settings)
            #expect(saved.status == 0, "\(saved.errors)")

            let body =
                #"{"personaId":"test","prompt":"What is 2+2? Reply with just the number.","config":{"timeoutMs":60000}}"#
            let accepted = try await Self.call(berth, "/api/execute", body)
            #expect(accepted["status"]?.string == "queued")
            let id = try #require(accepted["executionId"]?.string)
            _ = try await berth.berth("logs", "-f", id)
            let shown = try await Self.call(berth, "/api/executions/\(id)?offset=0")
            #expect(shown["status"]?.string == "completed", "\(shown)")
            #expect(shown["executionId"]?.string == id)
            #expect(shown["sessionId"]?.string?.isEmpty == false)
            let lines = shown["output"]?.array?.compactMap(\.string) ?? []
            #expect(shown["outputLines"]?.integer == Int64(lines.count))
            #expect(lines.contains { $0.contains(#""type":"result""#) && $0.contains(#""result":"4""#) })
            #expect((shown["durationMs"]?.integer ?? 0) > 0)
            let sent = try String(contentsOfFile: requests, encoding: .utf8)
            #expect(sent.contains("Bearer sk-ant-oat01-deployment"))
            #expect(sent.contains("What is 2+2?"))
            let found = try await check([
                "python3", ScriptedPeer.path("find_bytes.py"), berth.data, "sk-ant-oat01-deployment",
            ])
            #expect(found.isEmpty, "\(found)")
        }
    }

    private static func call(_ berth: Installation, _ path: String, _ body: String? = nil) async throws -> JSONValue {
        let note = try String(contentsOfFile: berth.data + "/server.json", encoding: .utf8)
        let value = try JSONDecoder().decode(JSONValue.self, from: Data(note.utf8))
        let url = try #require(value["url"]?.string)
        let key = try String(contentsOfFile: berth.data + "/api-key", encoding: .utf8).trimmed
        let sending = body.map { ["-H", "Content-Type: application/json", "--data-binary", $0] } ?? []
        let text = try await check(["curl", "-s", "-H", "Authorization: Bearer \(key)"] + sending + [url + path])
        return try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }
}
