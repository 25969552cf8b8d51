import AgentSessions
import Base
import Domain
import Testing

/// The codecs on what real agents wrote: Claude CLI 2.1.327, Codex CLI 0.163.0, the example agent of the Agent Client
/// Protocol's Python SDK 0.12.1.
@Suite struct CodecTests {
    /// Feeds a recording line by line, and answers what is asked as `answer` says.
    private func play(
        _ bench: inout Bench,
        _ lines: [String],
        prompts: [String],
        answer: (SessionRequest) -> SessionAnswer
    ) throws -> [JSONValue] {
        var said: [JSONValue] = []
        var prompts = prompts[...]
        bench.happens { $0.open() }
        for line in lines {
            if bench.record.process == .ready, bench.record.turn == nil, let text = prompts.popFirst() {
                try bench.send(text)
            }
            said += try bench.said()
            bench.hears([line])
            for request in bench.record.requests {
                let given = answer(request)
                try bench.happens { try $0.answer(request.id, given) }
            }
        }
        return said + (try bench.said())
    }

    @Test func `the Claude CLI writes a file, asks, makes a plan and is interrupted`() throws {
        var bench = try Bench(.claude)
        let said = try play(
            &bench,
            try Bench.recorded("claude"),
            prompts: ["write a", "ask", "plan", "hang"]
        ) { request in
            switch request.kind {
            case .permission: SessionAnswer(.allow)
            case .question: SessionAnswer(.allow, answers: ["Which colour?": "blue"])
            case .plan: SessionAnswer(.deny, message: "not yet")
            }
        }
        #expect(bench.record.turns == 4)
        #expect(bench.record.agentSessionID?.isEmpty == false)
        #expect(bench.record.requests.isEmpty)
        let asked = bench.events.compactMap(\.request)
        #expect(asked.map(\.kind) == [.permission, .question, .plan])
        #expect(asked[0].tool == "Write" && asked[0].title == "a.txt" && asked[0].allowsAlways)
        #expect(asked[1].questions.first?.options.map(\.label) == ["red", "blue"])
        #expect(asked[2].plan == "# do it")
        let answers = said.compactMap { $0["response"]?["response"] }
        #expect(answers.map { $0["behavior"]?.string } == ["allow", "allow", "deny"])
        #expect(answers[0]["updatedInput"]?["content"]?.string == "hi")
        #expect(answers[1]["updatedInput"]?["answers"]?["Which colour?"]?.string == "blue")
        #expect(answers[2]["message"]?.string == "not yet")
        let texts = bench.events.filter { $0.type == .text }.compactMap(\.text)
        #expect(texts == ["I write.", "done one", "thanks", "planned"])
        #expect(bench.events.contains { $0.type == .toolResult && $0.text?.hasPrefix("File created") == true })
        #expect(bench.events.filter { $0.message?.state == .accepted }.count == 4)
        #expect(bench.record.usage.outputTokens > 0)
        #expect(!bench.kinds().contains("other"), "\(bench.kinds())")
        #expect(said.filter { $0["type"]?.string == "user" }.allSatisfy { $0["uuid"]?.string?.count == 36 })
    }

    @Test func `a Claude CLI without a login is a typed failure with the way in`() throws {
        var bench = try Bench(.claude)
        bench.happens { $0.open() }
        try bench.send("x")
        bench.hears([#"{"type":"control_response","response":{"subtype":"success","request_id":"berth-1"}}"#])
        bench.hears(try Bench.recorded("claude-no-login"))
        #expect(bench.record.failure?.code == .loginMissing)
        #expect(bench.record.failure?.remedy?.contains("/login") == true)
        #expect(bench.record.status == .failed && bench.record.activity == .error)
    }

    @Test func `the Codex CLI runs a command, is denied another and is interrupted`() throws {
        var bench = try Bench(.codex)
        let said = try play(
            &bench,
            try Bench.recorded("codex"),
            prompts: ["write x", "remove x", "ask", "hang"]
        ) { request in
            request.title.contains("rm x.txt") ? SessionAnswer(.deny) : SessionAnswer(.allow)
        }
        #expect(bench.record.turns == 4)
        #expect(bench.record.status == .idle)
        #expect(bench.record.agentSessionID?.count == 36)
        #expect(bench.record.transcriptPath?.hasSuffix(".jsonl") == true)
        let asked = bench.events.compactMap(\.request)
        #expect(asked.map(\.tool) == ["shell", "shell"])
        let decisions = said.compactMap { $0["result"]?["decision"]?.string }
        #expect(decisions == ["accept", "decline"])
        let results = bench.events.filter { $0.type == .toolResult }
        #expect(results.map(\.isError) == [false, true])
        #expect(results[0].text?.contains("hello") == true)
        let texts = bench.events.filter { $0.type == .text }.compactMap(\.text)
        #expect(texts == ["done", "left it", "thanks"])
        #expect(said.compactMap { $0["method"]?.string }.prefix(3) == ["initialize", "initialized", "thread/start"])
        #expect(bench.record.usage.outputTokens > 0)
    }

    @Test func `pieces of an agent of the Agent Client Protocol become one text`() throws {
        var bench = try Bench(.acp, command: ["agent"])
        let said = try play(&bench, try Bench.recorded("acp"), prompts: ["hello"]) { _ in SessionAnswer(.deny) }
        #expect(said.compactMap { $0["method"]?.string } == ["initialize", "session/new", "session/prompt"])
        #expect(said.allSatisfy { $0["jsonrpc"]?.string == "2.0" })
        #expect(bench.events.filter { $0.type == .text }.compactMap(\.text) == ["Client sent:hello"])
        #expect(bench.record.agentSessionID == "0")
        #expect(bench.record.status == .idle && bench.record.activity == .done)
    }

    @Test func `a permission of the Agent Client Protocol is answered by the option of its kind`() throws {
        var bench = try Bench(.acp, command: ["agent"])
        bench.happens { $0.open() }
        try bench.send("go")
        for line in try Bench.recorded("acp").prefix(2) { bench.hears([line]) }
        let options =
            #"[{"optionId":"a","name":"yes","kind":"allow_once"},{"optionId":"b","name":"no","kind":"reject_once"}]"#
        let call = #"{"toolCallId":"t1","title":"rm -r /","kind":"execute","rawInput":{"command":"rm -r /"}}"#
        bench.hears([
            #"{"jsonrpc":"2.0","id":7,"method":"session/request_permission","params":{"sessionId":"0","options":\#(options),"toolCall":\#(call)}}"#
        ])
        let request = try #require(bench.record.requests.first)
        #expect(request.title == "rm -r /" && !request.allowsAlways)
        _ = try bench.said()
        try bench.happens { try $0.answer(request.id, SessionAnswer(.deny)) }
        let said = try bench.said()
        let answer = try #require(said.first)
        #expect(answer["id"]?.integer == 7)
        #expect(answer["result"]?["outcome"]?["optionId"]?.string == "b")
    }

    @Test func `each message of a plain program is a run of it`() throws {
        var bench = try Bench(.command, command: ["echo", "{}"])
        try bench.send("one")
        #expect(bench.effects == [.start])
        let launch = try bench.record.codec.codec.launch(bench.record.context, message: bench.record.turn?.message.text)
        #expect(launch.arguments == ["echo", "one"] && launch.input == [])
        try bench.send("two")
        bench.hears(["one"])
        bench.happens { $0.ended(.code(0), errors: "") }
        #expect(bench.record.turn?.message.text == "two")
        #expect(bench.record.run == 2)
        bench.happens { $0.ended(.code(3), errors: "no such thing\n") }
        #expect(bench.record.failure?.message == "the command exited with status 3: no such thing")
        #expect(bench.events.filter { $0.type == .text }.compactMap(\.text) == ["one"])
    }

    @Test(arguments: [AgentKind.claude, .codex, .acp])
    func `what is no line of the protocol is told and ends nothing`(agent: AgentKind) throws {
        var bench = try Bench(agent, command: ["agent"])
        bench.happens { $0.open() }
        bench.hears(["Segmentation fault", "{", #"{"type":7}"#, "[]", "null", #"{"method":"nonsense","params":3}"#])
        #expect(bench.events.contains { $0.type == .notice && $0.text == "Segmentation fault" })
        #expect(bench.record.process != .none)
    }

    @Test func `an agent that is not known here is refused by name`() {
        #expect(throws: BerthError.self) { try Bench(AgentKind(rawValue: "oracle")) }
    }
}
