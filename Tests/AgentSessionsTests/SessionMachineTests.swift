import AgentSessions
import Base
import Domain
import Testing

@Suite struct SessionMachineTests {
    private static let ready = #"{"type":"control_response","response":{"subtype":"success","request_id":"berth-1"}}"#
    private static let ended = #"{"type":"result","is_error":false,"session_id":"s1","result":"ok"}"#

    private static func ask(_ tool: String, _ id: String = "q1") -> String {
        #"{"type":"control_request","request_id":"\#(id)","request":{"subtype":"can_use_tool","tool_name":"\#(tool)","input":{"command":"ls"}}}"#
    }

    /// A Claude that works at a message.
    private func working(mode: PermissionMode = .standard) throws -> Bench {
        var bench = try Bench(.claude, mode: mode)
        bench.happens { $0.open() }
        bench.hears([Self.ready])
        try bench.send("go")
        _ = try bench.said()
        return bench
    }

    @Test func `messages wait while the agent works, and go one after the other`() throws {
        var bench = try working()
        try bench.send("two")
        try bench.send("three")
        #expect(bench.record.queue.map(\.text) == ["two", "three"])
        let said = try bench.said()
        #expect(said.isEmpty)
        bench.hears([Self.ended])
        #expect(bench.record.turn?.message.text == "two")
        #expect(bench.record.queue.map(\.text) == ["three"])
        let states = bench.events.compactMap(\.message).filter { $0.text == "go" }.map(\.state)
        #expect(states == [.pending, .sent, .committed])
    }

    @Test func `a message that waits is taken back, one that the agent has is not`() throws {
        var bench = try working()
        let sent = try bench.send("two")
        let waiting = try #require(sent)
        let message = try bench.happens { try $0.withdraw(waiting.id) }
        #expect(message.state == .cancelled)
        let running = try #require(bench.record.turn?.message.id)
        let error = #expect(throws: BerthError.self) { try bench.happens { _ = try $0.withdraw(running) } }
        #expect(error?.code == .notFound)
    }

    @Test func `a hundred messages wait and no more`() throws {
        var bench = try working()
        for number in 1...AgentSessionLimits.queuedMessages { try bench.send("\(number)") }
        let error = #expect(throws: BerthError.self) { try bench.send("one more") }
        #expect(error?.code == .quotaExceeded)
    }

    @Test func `the same message sent twice is one`() throws {
        var bench = try working()
        let sent = try bench.send("two")
        let message = try #require(sent)
        let again = try bench.happens { try $0.send("two", id: message.id) }
        #expect(again?.id == message.id && bench.record.queue.count == 1)
    }

    @Test func `a permission waits for its time and is then denied with the reason`() throws {
        var bench = try working()
        bench.hears([Self.ask("Bash")])
        #expect(bench.record.activity == .needsInput)
        let deadline = try #require(bench.record.deadline)
        #expect(deadline - bench.now == .seconds(300))
        bench.now = deadline + .milliseconds(-1)
        bench.happens { $0.tick() }
        #expect(bench.record.requests.count == 1)
        bench.now = deadline
        bench.happens { $0.tick() }
        #expect(bench.record.requests.isEmpty && bench.record.activity == .working)
        let said = try bench.said()
        let answer = try #require(said.last?["response"]?["response"])
        #expect(answer["behavior"]?.string == "deny")
        #expect(answer["message"]?.string == "nobody answered within 300 s")
        #expect(bench.events.last { $0.type == .answer }?.answer?.by == .timeout)
        let late = #expect(throws: BerthError.self) {
            try bench.happens { try $0.answer("q1", SessionAnswer(.allow)) }
        }
        #expect(late?.code == .gone)
    }

    @Test(arguments: [
        ("Read", PermissionMode.standard, true), ("Write", .standard, false), ("Write", .acceptEdits, true),
        ("Bash", .acceptEdits, false),
    ])
    func `what only looks needs no person, what edits none where edits are accepted`(
        tool: String,
        mode: PermissionMode,
        isAllowed: Bool
    ) throws {
        var bench = try working(mode: mode)
        bench.hears([Self.ask(tool)])
        #expect(bench.record.requests.isEmpty == isAllowed)
        #expect((bench.events.last { $0.type == .answer }?.answer?.by == .policy) == isAllowed)
    }

    @Test func `words while a question waits are its answer`() throws {
        var bench = try working()
        let questions = #"[{"question":"Which?","options":[{"label":"a"},{"label":"b"}]}]"#
        bench.hears([
            #"{"type":"control_request","request_id":"q","request":{"subtype":"can_use_tool","tool_name":"AskUserQuestion","input":{"questions":\#(questions)}}}"#
        ])
        let missing = #expect(throws: BerthError.self) {
            try bench.happens { try $0.answer("q", SessionAnswer(.allow, answers: [:])) }
        }
        #expect(missing?.code == .missingField)
        let sent = try bench.send("neither")
        #expect(sent == nil)
        let said = try bench.said()
        let answer = try #require(said.last?["response"]?["response"])
        #expect(answer["updatedInput"]?["answers"]?["Which?"]?.string == "neither")
        #expect(bench.record.queue.isEmpty && bench.record.requests.isEmpty)
    }

    @Test func `an interrupt ends the turn, denies what waits and holds the queue until the next message`() throws {
        var bench = try working()
        bench.hears([Self.ask("Bash")])
        try bench.send("two")
        bench.happens { $0.interrupt() }
        let said = try bench.said()
        #expect(said.compactMap { $0["request"]?["subtype"]?.string } == ["interrupt"])
        #expect(said.first?["response"]?["response"]?["interrupt"]?.bool == true)
        bench.hears([#"{"type":"result","is_error":true,"subtype":"error_during_execution","session_id":"s1"}"#])
        #expect(bench.record.turn == nil && bench.record.failure == nil && bench.record.isHeld)
        #expect(bench.record.status == .idle)
        try bench.send("three")
        #expect(bench.record.turn?.message.text == "two" && bench.record.queue.map(\.text) == ["three"])
    }

    @Test func `an agent that does not heed the interrupt is ended, and the next message resumes it`() throws {
        var bench = try working()
        bench.hears([#"{"type":"system","subtype":"init","session_id":"s1","model":"m"}"#])
        bench.happens { $0.interrupt() }
        bench.now = try #require(bench.record.deadline)
        bench.effects = []
        bench.happens { $0.tick() }
        #expect(bench.effects == [.terminate(grace: .zero)])
        bench.happens { $0.ended(.signal(9), errors: "") }
        #expect(bench.record.failure == nil && bench.record.process == .none)
        try bench.send("again")
        #expect(bench.record.run == 2)
        let launch = try bench.record.codec.codec.launch(bench.record.context, message: nil)
        #expect(launch.arguments.suffix(2) == ["--resume", "s1"])
    }

    @Test func `a process that dies in a turn fails it with the last words of its standard error`() throws {
        var bench = try working()
        try bench.send("two")
        bench.happens { $0.ended(.code(1), errors: "warning: x\nout of patience\n") }
        #expect(bench.record.failure?.message == "the Claude CLI exited with status 1: out of patience")
        #expect(bench.record.status == .failed && bench.record.isHeld)
        let states = bench.events.compactMap(\.message).filter { $0.text == "go" }.map(\.state)
        #expect(states.last == .failed)
    }

    @Test(arguments: [AgentExit.code(0), .code(1), .signal(11)])
    func `a process that never comes up fails its message and is not started for ever`(exit: AgentExit) throws {
        var bench = try Bench(.claude)
        try bench.send("go")
        bench.happens { $0.ended(exit, errors: "") }
        #expect(bench.record.process == .none && bench.record.queue.isEmpty && bench.record.failure != nil)
        try bench.send("again")
        #expect(bench.record.run == 2)
    }

    @Test func `one that is not ready in time is ended`() throws {
        var bench = try Bench(.claude)
        try bench.send("go")
        bench.now = try #require(bench.record.deadline)
        bench.happens { $0.tick() }
        #expect(bench.record.failure?.code == .timedOut)
        #expect(bench.effects.last == .terminate(grace: .zero))
        bench.happens { $0.ended(.signal(9), errors: "") }
        #expect(bench.record.process == .none)
    }

    @Test func `after the worker's death what may not be written is written again`() throws {
        var bench = try Bench(.claude)
        bench.happens { $0.open() }
        bench.hears([Self.ready])
        try bench.send("go")
        let lines = bench.record.outbox
        bench.effects = []
        bench.happens { $0.recover(hasChild: true) }
        #expect(bench.effects == [.write] && bench.record.outbox == lines)
        // A long line may have been cut in the middle.
        try bench.happens { try $0.change(SessionChange(model: String(repeating: "m", count: 100))) }
        bench.hears([Self.ended])
        try bench.send(String(repeating: "x", count: 5000))
        bench.effects = []
        bench.happens { $0.recover(hasChild: true) }
        #expect(bench.effects == [.terminate(grace: .zero)])
    }

    @Test func `with its environment a turn is lost by name, and the queue waits`() throws {
        var bench = try working()
        try bench.send("two")
        bench.happens { $0.recover(hasChild: false) }
        #expect(bench.record.failure?.code == .environmentLost && bench.record.isHeld)
        #expect(bench.record.queue.map(\.text) == ["two"])
    }

    @Test(arguments: [AgentExit.signal(15), .code(1), .signal(11), .lost])
    func `a process that ends between turns is no failure`(exit: AgentExit) throws {
        var bench = try working()
        bench.hears([Self.ended])
        bench.happens { $0.ended(exit, errors: "") }
        #expect(bench.record.failure == nil && bench.record.status == .idle)
        try bench.send("more")
        #expect(bench.record.run == 2)
    }

    @Test func `a stopped session goes on with the next message`() throws {
        var bench = try working()
        try bench.send("two")
        try bench.happens { try $0.stop() }
        #expect(bench.record.queue.isEmpty)
        bench.happens { $0.ended(.signal(15), errors: "") }
        #expect(bench.record.status == .completed && bench.record.failure == nil)
        try bench.send("three")
        #expect(bench.record.status == .running && bench.record.run == 2)
    }

    @Test func `a frozen session begins nothing and says why`() throws {
        var bench = try working()
        bench.hears([Self.ended])
        bench.happens { $0.freeze() }
        #expect(bench.effects.last == .terminate(grace: AgentSessionLimits.killGrace))
        bench.happens { $0.ended(.signal(15), errors: "") }
        #expect(bench.record.status == .paused)
        let error = #expect(throws: BerthError.self) { try bench.send("x") }
        #expect(error?.code == .illegalTransition)
        bench.happens { $0.thaw() }
        try bench.send("x")
        #expect(bench.record.status == .running)
    }

    @Test func `a text longer than the log keeps says how much is missing`() throws {
        var bench = try working()
        let text = String(repeating: "a", count: AgentSessionLimits.textBytes + 7)
        bench.hears([#"{"type":"assistant","message":{"content":[{"type":"text","text":"\#(text)"}]}}"#])
        let event = try #require(bench.events.last { $0.type == .text })
        #expect(event.text?.utf8.count == AgentSessionLimits.textBytes && event.cutBytes == 7)
    }

    @Test(arguments: 0..<40)
    func `whatever happens, a session can be stopped and used again`(seed: Int) throws {
        var bench = try working()
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        func draw(_ count: UInt64) -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state % count
        }
        for step in 0..<60 {
            bench.now = bench.now + .milliseconds(Int64(draw(400_000)))
            switch draw(11) {
            case 0: _ = try? bench.send("m\(step)")
            case 1 where bench.record.process != .none: bench.hears([Self.ended])
            case 2 where bench.record.process != .none:
                bench.hears([Self.ask(draw(2) == 0 ? "Bash" : "Read", "q\(step)")])
            case 3:
                let id = bench.record.requests.first?.id ?? ""
                _ = try? bench.happens { try $0.answer(id, SessionAnswer(.allow)) }
            case 4: bench.happens { $0.interrupt() }
            case 5: bench.happens { $0.tick() }
            case 6 where bench.record.process != .none: bench.happens { $0.ended(.signal(9), errors: "") }
            case 7:
                let hasChild = bench.record.process != .none
                bench.happens { $0.recover(hasChild: hasChild) }
            case 8: _ = try? bench.happens { try $0.stop() }
            case 9 where bench.record.process != .none: bench.hears([Self.ready])
            default: _ = try? bench.happens { try $0.change(SessionChange(permissionMode: .acceptEdits)) }
            }
            if bench.record.process == .none { #expect(bench.record.turn == nil && bench.record.requests.isEmpty) }
            #expect(bench.events.count == Int(bench.record.lastSequence))
        }
        try bench.happens { try $0.stop() }
        if bench.record.process != .none { bench.happens { $0.ended(.signal(15), errors: "") } }
        #expect(bench.record.status == .completed)
        try bench.send("once more")
        bench.hears([Self.ready])
        #expect(bench.record.turn?.message.text == "once more")
    }
}
