import API
import AgentProtocol
import Base
import Domain
import EventLoop
import FoundationEssentials
import Testing
import Transport

@testable import Executions
@testable import Server

/// Random lives of an execution before random viewers: whatever they do, each sees what is stored, once and in order.
@Suite struct ExecutionFollowerTests {
    static let all = [
        EventChoice(), EventChoice(stderr: false, agent: false, isRaw: true), EventChoice(stdout: false),
        EventChoice(agent: false), EventChoice(stdout: false, stderr: false),
    ]

    @Test(arguments: 1...60) func `every viewer sees exactly what is stored`(seed: UInt64) async throws {
        let loop = try EventLoop(name: "viewers")
        loop.start()
        defer { loop.stop() }
        let randomness = SeededRandomness(seed: seed)
        let execution = ScriptedExecution(SeededRandomness(seed: seed &+ 1000), loop: loop)
        let followers = ExecutionFollowers { _, _ in execution }
        let life = RandomLife(execution, followers, randomness, loop: loop)
        try await withDeadline(.seconds(60), time: SystemTime(), what: "seed \(seed)") { try await life.run() }
        try await loop.run {
            for (number, viewer) in life.viewers.enumerated() { try Self.check(viewer, execution, "\(seed)/\(number)") }
        }
        #expect(execution.listeners == 0, "followers that nobody needs are gone")
    }

    @Test func `one who comes back with a newer attempt is ahead of those who have not heard of it`() throws {
        let loop = try EventLoop(name: "unused")
        let execution = ScriptedExecution(SeededRandomness(seed: 1), loop: loop)
        execution.move(to: .running, isNewAttempt: true)
        var encoder = EventEncoder()
        var others = ExecutionCursor(EventChoice(), from: .start)
        #expect(others.relation(to: others.mark) == .equal)
        try others.take(ExecutionSnapshot(execution.current), [], to: &encoder)
        let newer = StreamPosition(attempt: 2, stdout: 5, stderr: 0, agent: 0, state: 9)
        #expect(ExecutionCursor(EventChoice(), from: newer).relation(to: others.mark) == .ahead)
        #expect(ExecutionCursor(EventChoice(), from: .start).relation(to: others.mark) == .behind)
        let other = EventChoice(stdout: false)
        var narrow = ExecutionCursor(other, from: StreamPosition(attempt: 1, stdout: 5, stderr: 0, agent: 0, state: 0))
        try narrow.take(ExecutionSnapshot(execution.current), [], to: &encoder)
        #expect(narrow.relation(to: others.mark) == .apart)
    }

    private static func check(_ viewer: ScriptedViewer, _ execution: ScriptedExecution, _ who: String) throws {
        #expect(viewer.failure == nil, "\(who): \(String(describing: viewer.failure))")
        let last = try #require(viewer.connections.last)
        #expect(last.hasEnded, "\(who) has not ended")
        #expect(viewer.connections.flatMap(\.events).filter { $0.event == "end" }.count == 1, "\(who)")
        #expect(last.events.last?.event == "end", "\(who)")
        #expect(
            viewer.connections.flatMap(\.events).filter { $0.event == "progress" }.map(\.data) == execution.progress
        )
        var outputs: [String: [UInt8]] = [:]
        var agent: [AgentEvent] = []
        let final = execution.current
        for connection in viewer.connections {
            var state: StateEvent?
            for event in connection.events {
                let attempt = try StreamPosition(event.id ?? "").attempt
                switch event.event {
                case "state":
                    let told = try JSONBody.decode(StateEvent.self, from: Array(event.data.utf8))
                    #expect(told != state, "\(who): \(told.status) was told twice")
                    state = told
                case "stdout", "stderr":
                    let piece = try JSONBody.decode(OutputEvent.self, from: Array(event.data.utf8))
                    let key = "\(event.event) \(attempt)"
                    #expect(Int(piece.offset) == outputs[key]?.count ?? 0, "\(who): \(key) has a gap or a repetition")
                    outputs[key, default: []] += piece.content
                case "agent" where attempt == final.attempt:
                    agent.append(try JSONBody.decode(AgentEvent.self, from: Array(event.data.utf8)))
                default: continue
                }
            }
            if connection.hasEnded { #expect(state?.status.rawValue == final.state.rawValue, "\(who)") }
        }
        for (key, bytes) in outputs {
            let parts = key.split(separator: " ")
            let attempt = Int(parts[1]) ?? 0
            let stored = execution.stored(parts[0] == "stdout" ? .stdout : .stderr, attempt: attempt)
            #expect(stored.starts(with: bytes), "\(who): \(key) differs")
        }
        if last.choice.stdout {
            #expect(outputs["stdout \(final.attempt)"] ?? [] == execution.stored(.stdout, attempt: final.attempt))
        }
        if last.choice.stderr {
            #expect(outputs["stderr \(final.attempt)"] ?? [] == execution.stored(.stderr, attempt: final.attempt))
        }
        if last.choice.agent {
            var parser = StreamJSONParser()
            let stored = execution.stored(.stdout, attempt: final.attempt)
            let expected = (parser.feed(stored) + parser.finish()).map(\.event)
            // One who came back in the middle of a message may be told of its usage again.
            let isWhole = viewer.connections.count == 1
            #expect(isWhole ? agent == expected : agent.told == expected.told, "\(who): agent events differ")
        }
    }
}

extension [AgentEvent] {
    fileprivate var told: [AgentEvent] {
        filter { event in
            if case .usage = event { false } else { true }
        }
    }
}

extension OutputEvent {
    fileprivate var content: [UInt8] {
        text.map { Array($0.utf8) } ?? base64.flatMap { Data(base64Encoded: $0) }.map { Array($0) } ?? []
    }
}

/// What happens in one test.
private final class RandomLife: Sendable {
    private let execution: ScriptedExecution
    private let followers: ExecutionFollowers
    private let randomness: SeededRandomness
    private let loop: EventLoop
    let viewers: [ScriptedViewer]

    init(
        _ execution: ScriptedExecution,
        _ followers: ExecutionFollowers,
        _ randomness: SeededRandomness,
        loop: EventLoop
    ) {
        self.execution = execution
        self.followers = followers
        self.randomness = randomness
        self.loop = loop
        // Alone or among others.
        viewers = (0...randomness.next() % 8).map { _ in ScriptedViewer(loop: loop) }
    }

    private func below(_ bound: Int) -> Int { Int(randomness.next() % UInt64(bound)) }

    func run() async throws {
        if below(2) == 0 { execution.move(to: .running, isNewAttempt: true) }
        let choice = below(3)
        for _ in 0..<300 {
            switch below(20) {
            case 0..<7: write()
            case 7: execution.makeProgress()
            case 8 where below(12) == 0:
                execution.move(to: .queued)
                execution.move(to: .running, isNewAttempt: true)
            case 8: execution.move(to: execution.current.state == .running ? .assigned : .running)
            case 9..<12: try await withViewer { if !$0.isConnected { self.connect($0, choice) } }
            case 12, 13: try await withViewer { $0.stall() }
            case 14, 15: try await withViewer { $0.goOn() }
            case 16: try await withViewer { $0.cut() }
            default: for _ in 0..<below(4) { try await loop.run {} }
            }
        }
        if execution.current.attempt == 0 { execution.move(to: .running, isNewAttempt: true) }
        write()
        execution.move(to: .completed)
        try await loop.run {
            for viewer in self.viewers {
                if !viewer.isConnected, viewer.connections.last?.hasEnded != true { self.connect(viewer, choice) }
                viewer.goOn()
            }
        }
        for viewer in viewers { await viewer.wait() }
    }

    /// Most viewers share a choice; those that come back may have another.
    private func connect(_ viewer: ScriptedViewer, _ choice: Int) {
        let choices = ExecutionFollowerTests.all
        viewer.connect(execution.current, choices[below(3) == 0 ? below(choices.count) : choice], followers)
    }

    private func withViewer(_ body: @escaping @Sendable (ScriptedViewer) -> Void) async throws {
        let viewer = viewers[below(viewers.count)]
        try await loop.run { body(viewer) }
    }

    private func write() {
        guard execution.current.attempt > 0 else { return }
        let stream: Domain.OutputStream = below(4) == 0 ? .stderr : .stdout
        switch below(6) {
        case 5: execution.append([0xFF, 0xE2, 0x82], stream)
        case 0: execution.append((0..<below(40)).map { _ in UInt8(below(256)) }, stream)
        case 1: execution.append(Array("aé€😀\n".utf8.dropFirst(below(4)).dropLast(below(5))), stream)
        case 2: execution.append(Array(repeating: UInt8(ascii: "x"), count: below(700)), stream)
        case 3:
            let line =
                #"{"type":"assistant","message":{"id":"m\#(below(3))","content":[{"type":"text","text":"t"}],"#
                + #""usage":{"input_tokens":1,"output_tokens":2}}}"# + "\n"
            execution.append(Array(line.utf8.prefix(below(3) == 0 ? 50 : 500)), stream)
        default: execution.append(Array("\nline \(below(1000))\n".utf8), stream)
        }
    }
}
