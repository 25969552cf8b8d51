import Base
import TestSupport
import Testing

/// Conversations with real agents, whose model is scripted, through the shipped programs.
@Suite struct AgentSessionTests {
    private static let write = #"{"text":"I write.","tools":[["Write",{"file_path":"a.txt","content":"hi"}]]}"#
    private static let question =
        #"{"tools":[["AskUserQuestion",{"questions":[{"question":"Which colour?","header":"Colour","multiSelect":false,"options":[{"label":"red","description":"r"},{"label":"blue","description":"b"}]}]}]]}"#
    private static let wait =
        #"{"tools":[["Bash",{"command":"python3 -c 'import time; time.sleep(300)'","description":"long work"}]]}"#

    @Test(arguments: ["host", "local", "docker"])
    func `the Claude CLI asks, is answered, and remembers it`(provider: String) async throws {
        let steps = "[\(Self.write),{\"text\":\"done one\"},\(Self.question),{\"text\":\"thanks\"}]"
        try await AgentSessionScene.with(steps, provider: provider) { scene, _ in
            try await scene.session("start", "--detach")
            let watch = try scene.watch("claude")
            try await scene.session("send", "claude", "write a file")
            _ = try await watch.line(containing: #""type":"permission""#)
            #expect(try await scene.state("claude")["activity"]?.string == "needsInput")
            try await scene.session("approve", "claude")
            _ = try await watch.line(containing: "done one")
            let asked = try scene.berth.starting("session", "send", scene.workspace, "claude", "ask me", "--wait")
            _ = try await watch.line(containing: #""type":"question""#)
            try await scene.session("answer", "claude", "2")
            #expect(try await asked.exit() == 0)
            let shown = String(decoding: asked.standardOutput, as: UTF8.self)
            #expect(shown.contains("Which colour?") && shown.contains("thanks"), "\(shown)")
            #expect(try scene.lastRequest().contains("\\\"Which colour?\\\"=\\\"blue\\\"") == true)
            let state = try await scene.state("claude")
            #expect(state["turns"]?.integer == 2 && state["status"]?.string == "IDLE")
            watch.signal(15)
        }
    }

    @Test func `what is denied is not done, and what nobody answers is denied in time`() async throws {
        let steps = "[\(Self.write),{\"text\":\"left it\"},\(Self.write),{\"text\":\"so be it\"}]"
        try await AgentSessionScene.with(steps) { scene, _ in
            try await scene.session("start", "--detach", "--request-timeout", "60s")
            let watch = try scene.watch("claude")
            try await scene.session("send", "claude", "write")
            _ = try await watch.line(containing: #""type":"permission""#)
            try await scene.session("deny", "claude", "--reason", "use the other file")
            _ = try await watch.line(containing: "left it")
            #expect(try scene.lastRequest().contains("use the other file"))
            try await scene.session("start", "--detach", "--name", "quick", "--request-timeout", "1s", "-p", "write")
            let quick = try scene.watch("quick")
            _ = try await quick.line(containing: "nobody answered within 1 s")
            _ = try await quick.line(containing: "so be it")
            #expect(try await scene.file("a.txt").isEmpty)
            try await scene.session("approve", "quick", status: 66)
            for one in [watch, quick] { one.signal(15) }
        }
    }

    @Test func `an interrupt ends the turn and keeps the queue; a message is withdrawn`() async throws {
        let steps = "[\(Self.wait),{\"text\":\"second\"},{\"text\":\"fourth\"}]"
        try await AgentSessionScene.with(steps) { scene, _ in
            try await scene.session("start", "--detach", "--permission-mode", "bypassPermissions")
            let watch = try scene.watch("claude")
            try await scene.session("send", "claude", "first")
            _ = try await watch.line(containing: #""type":"toolCall""#)
            try await scene.session("send", "claude", "the second")
            let third = try await scene.session("send", "claude", "the third").output
            try await scene.session("withdraw", "claude", String(third.prefix { $0 != " " }))
            let why = try await scene.berth.json("session", "ls", scene.workspace)
            #expect(why["items"]?.array?.first?["queue"]?.array?.count == 1)
            try await scene.session("interrupt", "claude")
            _ = try await watch.line(containing: "the turn was interrupted")
            #expect(try await scene.state("claude")["isQueueHeld"]?.bool == true)
            let fourth = try await scene.session("send", "claude", "the fourth", "--wait")
            #expect(fourth.output.contains("fourth"), "\(fourth.output)")
            let texts = try await scene.log("claude").filter { $0["type"]?.string == "text" }
            #expect(texts.compactMap { $0["text"]?.string } == ["second", "fourth"])
            let withdrawn = try await scene.log("claude").contains { $0["message"]?["state"]?.string == "CANCELLED" }
            #expect(withdrawn)
            watch.signal(15)
        }
    }

    @Test(arguments: ["host", "local", "docker"])
    func `a conversation outlives worker, server and environment`(provider: String) async throws {
        let steps = "[{\"text\":\"I keep it in mind.\"},\(Self.wait),{\"text\":\"I remember.\"}]"
        try await AgentSessionScene.with(steps, provider: provider) { scene, server in
            let berth = scene.berth
            try await scene.session("start", "--detach", "--permission-mode", "bypassPermissions")
            try await scene.session("send", "claude", "the word is heron", "--wait")
            let watch = try scene.watch("claude")
            try await scene.session("send", "claude", "work")
            _ = try await watch.line(containing: #""type":"toolCall""#)
            try await check(["sh", "-c", CrashTests.killWorkers(of: berth)])
            let address = try #require(String(decoding: server.standardError, as: UTF8.self).firstAddress)
            server.signal(9)
            _ = try await server.exit()
            let second = try await berth.serve(listen: address)
            // The same process, in the same turn.
            try await untilReachable(scene)
            #expect(try await scene.state("claude")["status"]?.string == "RUNNING")
            try await scene.session("interrupt", "claude")
            _ = try await watch.line(containing: "the turn was interrupted")
            let stopped = try await berth.berth("env", "stop", "build")
            #expect(stopped.status == 0, "\(stopped.errors)")
            // Who looked on does not wake it again, and hears why there is no more.
            _ = try await watch.exit()
            let words = String(decoding: watch.standardError, as: UTF8.self)
            #expect(words.contains("build is stopped"), "\(words)")
            let started = try await berth.berth("env", "start", "build")
            #expect(started.status == 0, "\(started.errors)")
            let answer = try await scene.session("send", "claude", "which word?", "--wait")
            #expect(answer.output.contains("I remember."), "\(answer.output)")
            #expect(try scene.lastRequest().contains("the word is heron"))
            let log = try await scene.log("claude")
            #expect(log.compactMap { $0["seq"]?.integer } == log.indices.map { Int64($0 + 1) })
            // Who looked on through all of it has every event once.
            let seen = String(decoding: watch.standardOutput, as: UTF8.self).split(separator: "\n")
                .filter { $0.hasPrefix(#"{"event":"event""#) }
            let numbers = seen.compactMap { line in try? JSONValue(parsing: line.utf8)["data"]?["seq"]?.integer }
            #expect(numbers == numbers.indices.map { Int64($0 + 1) })
            await berth.destroyEverything()
            second.signal(15)
            _ = try await second.exit()
        }
    }

    /// The worker has come back to the server.
    private func untilReachable(_ scene: AgentSessionScene) async throws {
        let result = try await scene.berth.berth("exec", "-e", "build", "--", "true")
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test func `the Codex CLI runs what is allowed, leaves what is not, and resumes after its worker's death`()
        async throws
    {
        let allowed = #"{"tools":[["exec_command",{"cmd":"echo hello > x.txt; cat x.txt"}]]}"#
        let denied = #"{"tools":[["exec_command",{"cmd":"rm x.txt"}]]}"#
        let steps = "[\(allowed),{\"text\":\"written\"},\(denied),{\"text\":\"left it\"},{\"text\":\"back again\"}]"
        try await AgentSessionScene.with(steps) { scene, _ in
            try await scene.session("start", "--agent", "codex", "--detach")
            let watch = try scene.watch("codex")
            try await scene.session("send", "codex", "write x")
            _ = try await watch.line(containing: #""type":"permission""#)
            try await scene.session("approve", "codex")
            _ = try await watch.line(containing: "written")
            let second = try scene.berth.starting("session", "send", scene.workspace, "codex", "rm x", "--wait")
            _ = try await watch.line(containing: #"'rm x.txt'","tool":"#)
            try await scene.session("deny", "codex")
            #expect(try await second.exit() == 0)
            #expect(try await scene.file("x.txt").trimmed == "hello")
            try await check(["sh", "-c", CrashTests.killWorkers(of: scene.berth)])
            try await untilReachable(scene)
            try await scene.session("stop", "codex")
            let back = try await scene.session("send", "codex", "go on", "--wait")
            #expect(back.output.contains("back again"), "\(back.output)")
            #expect(try scene.lastRequest().contains("left it"))
            #expect(try await scene.state("codex")["transcriptPath"]?.string?.contains("/.codex/sessions/") == true)
            watch.signal(15)
        }
    }

    @Test func `an agent that others wrote speaks the Agent Client Protocol; a plain program is one too`() async throws
    {
        let acp = BerthCache.directory + "/acp"
        try await AgentSessionScene.with("[]", hasLogin: false) { scene, _ in
            let python = try await check(["python3", "-c", "import sys; print(sys.executable)"])
            let started = try await scene.berth.run(
                ["session", "start", scene.workspace, "--agent", "acp", "--detach", "--"]
                    + ["env", "PYTHONPATH=\(acp)/lib", python, "\(acp)/examples/agent.py"]
            )
            #expect(started.status == 0, "\(started.errors)")
            let said = try await scene.session("send", "acp", "hello there", "--wait")
            #expect(said.output.contains("Client sent:hello there"), "\(said.output)")
            let counter = try await scene.berth.run(
                ["session", "start", scene.workspace, "--agent", "command", "--detach", "--", "wc", "-w"]
            )
            #expect(counter.status == 0, "\(counter.errors)")
            let counted = try await scene.session("send", "command", "one two three", "--wait")
            #expect(counted.output.contains("3"), "\(counted.output)")
        }
    }

    @Test(arguments: ["host", "local"])
    func `every start of an agent has the workspace's variables, and Berth itself writes their values nowhere`(
        provider: String
    ) async throws {
        try await AgentSessionScene.with("[]", provider: provider, hasLogin: false) { scene, _ in
            let berth = scene.berth
            let set = try await berth.run(["ws", "env", "set", scene.workspace, "KEY=first-s3cret", "STAGE=dev"])
            #expect(set.status == 0, "\(set.errors)")
            let digest = "cat >/dev/null; echo \"$STAGE $(printf %s \"$KEY\" | sha256sum | cut -c1-16)\""
            let started = try await berth.run(
                ["session", "start", scene.workspace, "--agent", "command", "-d", "--", "sh", "-c", digest]
            )
            #expect(started.status == 0, "\(started.errors)")
            let first = try await scene.session("send", "command", "what have you?", "--wait")
            let sums = try await check(["sh", "-c", "for k in first second; do printf $k-s3cret | sha256sum; done"])
                .split(separator: "\n").map { String($0.prefix(16)) }
            #expect(first.output.contains("dev \(sums[0])"), "\(first.output)\(first.errors)")
            // The next process has the value that is set then.
            _ = try await berth.run(["ws", "env", "set", scene.workspace, "KEY=second-s3cret"])
            let second = try await scene.session("send", "command", "and now?", "--wait")
            #expect(second.output.contains("dev \(sums[1])"), "\(second.output)\(second.errors)")
            for value in ["first-s3cret", "second-s3cret"] {
                let found = try await check(["python3", ScriptedPeer.path("find_bytes.py"), berth.data, value])
                #expect(found.isEmpty, "\(found)")
            }
        }
    }

    @Test func `a conversation whose own record is gone fails by name, and whoever waits is told`() async throws {
        try await AgentSessionScene.with(#"[{"text":"I keep it in mind."}]"#) { scene, _ in
            try await scene.session("start", "--detach")
            try await scene.session("send", "claude", "the word is heron", "--wait")
            try await scene.session("stop", "claude")
            let id = try #require(try await scene.state("claude")["agentSessionId"]?.string)
            let remove = "rm ~/.claude/projects/*/\(id).jsonl"
            let forget = try await scene.berth.berth("exec", "-e", "build", "--", "sh", "-c", remove)
            #expect(forget.status == 0, "\(forget.errors)")
            let told = try await scene.session("send", "claude", "which word?", "--wait", status: 66)
            #expect(told.errors.contains("record of the conversation is gone"), "\(told.errors)")
            #expect(told.errors.contains("start another session"), "\(told.errors)")
            #expect(try await scene.log("claude").contains { $0["text"]?.string == "I keep it in mind." })
        }
    }

    @Test func `a log that grows without end keeps its newest events and tells of the gap`() async throws {
        try await AgentSessionScene.with("[]", hasLogin: false) { scene, _ in
            // One event for each line, 200,000 bytes long: 80 MB.
            let lines = "head -c 80000000 /dev/zero | tr '\\0' x | fold -b -w 199999; echo; echo the last line"
            let started = try await scene.berth.run(
                ["session", "start", scene.workspace, "--agent", "command", "--detach", "--", "sh", "-c", lines]
            )
            #expect(started.status == 0, "\(started.errors)")
            try await scene.session("send", "command", "go", "--wait")
            let told = try await scene.session("log", "command", "--json").output.split(separator: "\n").map {
                try JSONValue(parsing: $0.utf8)
            }
            let gap = try #require(told.first { $0["event"]?.string == "gap" }?["data"], "\(told.count)")
            let kept = told.filter { $0["event"]?.string == "event" }.compactMap { $0["data"] }
            let first = try #require(kept.first?["seq"]?.integer)
            #expect(gap["from"]?.integer == 1 && gap["to"]?.integer == first - 1)
            #expect(kept.compactMap { $0["seq"]?.integer } == kept.indices.map { first + Int64($0) })
            let bytes = kept.reduce(0) { $0 + $1.text.utf8.count }
            #expect((30_000_000...(64 << 20)).contains(bytes), "\(bytes) bytes in \(kept.count) events")
            #expect(kept.contains { $0["text"]?.string?.contains("the last line") == true })
            let text = try await scene.session("log", "command").output
            #expect(text.hasPrefix("[events 1 to \(first - 1) are kept no longer]"))
        }
    }

    @Test func `what cannot be is refused in words, with the way out`() async throws {
        try await AgentSessionScene.with("[]", hasLogin: false) { scene, _ in
            let cases: [([String], Int32, String)] = [
                (["start", "--agent", "acp", "-d"], 64, "needs a command"),
                (["start", "--agent", "acp", "-d", "--", "/no/such/agent"], 69, "/no/such/agent"),
                (["start", "--agent", "codex", "--permission-mode", "plan", "-d"], 69, "no permission mode 'plan'"),
                (["start", "--name", "A B", "-d"], 64, "no name"),
                (["send", "nobody", "x"], 66, "no agent session 'nobody'"),
                (["attach", "nobody"], 66, "no agent session 'nobody'"),
            ]
            for (arguments, status, words) in cases {
                let result = try await scene.berth.run(
                    ["session", arguments[0], scene.workspace] + arguments.dropFirst()
                )
                #expect(result.status == status, "\(arguments): \(result.errors)")
                #expect(result.errors.contains(words) && result.errors.contains("→"), "\(result.errors)")
            }
            try await scene.session("start", "-d")
            let login = try await scene.session("send", "claude", "hello", "--wait", status: 77)
            #expect(login.errors.contains("no login") && login.errors.contains("/login"), "\(login.errors)")
            for _ in 1...4 {
                let one = ["session", "start", scene.workspace, "--agent", "command", "-d", "--", "cat"]
                let made = try await scene.berth.run(one)
                #expect(made.status == 0, "\(made.errors)")
            }
            let sixth = try await scene.session("start", "-d", status: 75)
            #expect(sixth.errors.contains("its limit is 5") && sixth.errors.contains("session stop"))
            try await scene.session("stop", "command-4")
            try await scene.session("start", "--agent", "command", "-d", "--", "cat")
            try await scene.session("rm", "command")
        }
    }
}
