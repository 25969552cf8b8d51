import Base
import FoundationEssentials
import TestSupport
import Testing

/// Workspaces that go from one server to another and back, through the shipped programs.
@Suite struct HandOverTests {
    private static let first = #"""
        [{"text":"I will remember the word marzipan.","tools":[["Bash",{"command":"echo begun > begun.txt","description":"begin"}]]},
         {"text":"Begun."}]
        """#
    private static let second = #"[{"text":"The word was marzipan; I go on."}]"#

    @Test func `a real conversation with a dirty tree goes to the cloud, goes on there, and comes back whole`()
        async throws
    {
        let folder = try TemporaryDirectory("hand-over-model")
        let script = try folder.write(Self.first, to: "model.json")
        let requests = try folder.write("", to: "requests.jsonl")
        let model = try await ScriptedPeer("model_endpoint.py", [script, requests])
        let variables = [
            "ANTHROPIC_BASE_URL=http://127.0.0.1:\(model.port)", "ANTHROPIC_API_KEY=sk-scripted", "IS_SANDBOX=1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
        ]
        try await TwoBerths.with(ports: [model.port]) { berths, _, _ in
            let workspace = try await berths.begin(
                ["run", "--repo", berths.repository] + variables.flatMap { ["--env", $0] } + ["remember marzipan"]
            )
            let session = try #require(try await berths.desktop.newestExecution()["agentSessionId"]?.string)
            try await berths.logIn()
            let here = try await berths.checkout(berths.desktop)
            _ = try await berths.shell(berths.desktop, here, TwoBerths.dirty)
            let before = try await berths.shell(berths.desktop, here, TwoBerths.portrait)
            let transcript = "cat ~/.claude/projects/*/\(session).jsonl"
            let conversation = try await berths.shell(berths.desktop, here, transcript)
            #expect(conversation.contains("marzipan"))

            let id = try #require(workspace["id"]?.string)
            let sent = try await berths.desktop.berth("ws", "send", id, "--to", "cloud")
            #expect(sent.status == 0, "\(sent.errors)")
            #expect(sent.output.contains("now at cloud"))
            #expect(sent.output.contains("build/"), "what stays is told")
            #expect(try await berths.desktop.json("ws", "show", id)["location"]?.string == "CLOUD")
            let twin = try #require(try await berths.cloud.json("ws", "ls")["items"]?.array?.first)
            #expect(twin["location"]?.string == "CLOUD")

            let there = try await berths.checkout(berths.cloud)
            #expect(try await berths.shell(berths.cloud, there, TwoBerths.portrait) == before)
            try folder.write(Self.second, to: "model.json")
            let answer = try await berths.shell(
                berths.cloud,
                there,
                "claude -p --permission-mode bypassPermissions --resume \(session) 'which word?' && echo more >> cloud.txt",
                variables[0],
                variables[1],
                variables[2],
                variables[3]
            )
            #expect(answer.contains("The word was marzipan"))
            let asked = try String(contentsOfFile: requests, encoding: .utf8).split(separator: "\n")
                .last { $0.contains("which word?") }
            #expect(
                asked?.contains("I will remember the word marzipan.") == true,
                "the memory is the whole conversation"
            )

            let refused = try await berths.desktop.berth("ws", "send", id, "--to", "cloud")
            #expect(refused.status == 73, "what is away cannot be sent: \(refused.errors)")

            let changed = try await berths.shell(berths.cloud, there, TwoBerths.portrait)
            let pulled = try await berths.desktop.berth("ws", "pull", twin["id"]?.string ?? "", "--from", "cloud")
            #expect(pulled.status == 0, "\(pulled.errors)")
            #expect(try await berths.shell(berths.desktop, here, TwoBerths.portrait) == changed)
            let whole = try await berths.shell(berths.desktop, here, transcript)
            #expect(whole.hasPrefix(conversation), "what was said before is as it was")
            #expect(whole.contains("which word?"))
            #expect(try await berths.desktop.json("ws", "show", id)["location"]?.string == "DESKTOP")
            #expect(
                try await berths.cloud.json("ws", "show", twin["id"]?.string ?? "")["location"]?.string == "DESKTOP"
            )
            for berth in [berths.desktop, berths.cloud] {
                let found = try await check([
                    "python3", ScriptedPeer.path("find_bytes.py"), berth.data,
                    try String(contentsOfFile: berths.cloud.data + "/api-key", encoding: .utf8).trimmed,
                ])
                #expect(found.split(separator: "\n").allSatisfy { $0.hasSuffix("/api-key") }, "\(found)")
            }
        }
    }

    @Test func `a terminal goes along with every byte that it showed, and its program ends`() async throws {
        try await TwoBerths.with { berths, _, _ in
            let workspace = try await berths.begin()
            try await berths.logIn()
            let id = try #require(workspace["id"]?.string)
            let opened = try await berths.desktop.berth(
                "terminal",
                "open",
                "personal",
                "--workspace",
                id,
                "--detach",
                "--name",
                "work",
                "--",
                "sh",
                "-c",
                "echo before the journey; sleep 1000"
            )
            #expect(opened.status == 0, "\(opened.errors)")
            let sent = try await berths.desktop.berth("ws", "send", id, "--to", "cloud")
            #expect(sent.status == 0, "\(sent.errors)")
            let terminals = try await berths.cloud.json("terminal", "ls", "personal")["items"]?.array ?? []
            #expect(terminals.first?["name"]?.string == "work")
            #expect(terminals.first?["status"]?.string == "ended")
            let shown = try await berths.cloud.berth("terminal", "output", "personal", "work")
            #expect(shown.output.contains("before the journey"), "\(shown.errors)")
            let again = try await berths.desktop.berth(
                "terminal",
                "open",
                "personal",
                "--workspace",
                id,
                "--detach",
                "--",
                "sh"
            )
            #expect(again.status != 0, "nothing begins in a workspace that is away")
            for change in [
                ["file", "put", id, "late.txt"], ["file", "mkdir", id, "late"], ["git", "branch", id, "late"],
                ["git", "commit", id, "--all", "-m", "late"], ["ws", "env", "set", id, "LATE=1"],
                ["ws", "archive", id, "--force"],
            ] {
                let refused = try await berths.desktop.run(change)
                #expect(refused.status == 73, "what is written here would be lost: \(change) \(refused)")
                #expect(refused.errors.contains("another server has it"), "\(refused.errors)")
            }
            #expect(try await berths.desktop.berth("file", "ls", id).status == 0, "it can be looked at")
        }
    }

    @Test func `while something runs nothing is sent, and with --wait it is sent afterwards`() async throws {
        try await TwoBerths.with { berths, _, _ in
            let workspace = try await berths.begin()
            try await berths.logIn()
            let id = try #require(workspace["id"]?.string)
            let bad = try await berths.desktop.berth("ws", "send", "no-such", "--to", "cloud")
            #expect(bad.status == 66)
            let unknown = try await berths.desktop.berth("ws", "send", id, "--to", "moon")
            #expect(unknown.status == 66 && unknown.errors.contains("berth login"), "\(unknown.errors)")
            let keys = try await berths.cloud.json("key", "create", "short")
            let key = try #require(keys["token"]?.string)
            let port = try TwoBerths.port(of: berths.cloud)
            let login = try await berths.desktop.berth(
                "login",
                "http://127.0.0.1:\(port)",
                "--name",
                "expired",
                "--token-stdin",
                input: key
            )
            #expect(login.status == 0, "\(login.errors)")
            let revoked = try await berths.cloud.berth("key", "revoke", keys["key"]?["id"]?.string ?? "")
            #expect(revoked.status == 0, "\(revoked.errors)")
            let expired = try await berths.desktop.berth("ws", "send", id, "--to", "expired")
            #expect(expired.status == 77 && expired.errors.contains("log in again"), "\(expired.errors)")
            // Rolled back: it can be sent with another key at once.
            let sent = try await berths.desktop.berth("ws", "send", id, "--to", "cloud")
            #expect(sent.status == 0, "\(sent.errors)")
        }
    }
}
