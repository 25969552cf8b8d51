import Base
import Domain
import EventLoop
import Synchronization

@testable import Executions
@testable import Server

/// An execution in memory that a test writes: its reads give pieces of any size, after pauses of any length.
final class ScriptedExecution: ExecutionReading {
    private struct Output: Hashable {
        var attempt: Int
        var stream: Domain.OutputStream
    }

    private struct Listener {
        let number: UInt64
        let hear: @Sendable (ExecutionNews) -> Void
    }

    private struct State {
        var record: ExecutionRecord
        var history: [ExecutionEvent] = []
        var outputs: [Output: [UInt8]] = [:]
        var listeners: [Listener] = []
        var nextListener: UInt64 = 0

        mutating func note(_ type: String, _ payload: String) {
            let seq = (history.last?.seq ?? 0) + 3
            history.append(ExecutionEvent(seq: seq, type: type, payload: payload, at: Timestamp(milliseconds: 1)))
        }
    }

    let loop: EventLoop
    private let randomness: SeededRandomness
    private let state: Mutex<State>

    init(_ randomness: SeededRandomness, loop: EventLoop) {
        self.randomness = randomness
        self.loop = loop
        let ids = IDSource(time: SystemTime(), randomness: randomness)
        let now = Timestamp(milliseconds: 1)
        let record = ExecutionRecord(
            id: ids.make(),
            organizationID: ids.make(),
            ownerID: ids.make(),
            spec: ExecutionSpec(agent: .claude),
            state: .queued,
            title: "",
            attempt: 0,
            createdAt: now,
            stateEnteredAt: now,
            failures: 0,
            version: 1
        )
        state = Mutex(State(record: record))
    }

    private func below(_ bound: Int) -> Int { Int(randomness.next() % UInt64(bound)) }

    // MARK: Writing

    var current: ExecutionRecord { state.withLock { $0.record } }

    func stored(_ stream: Domain.OutputStream, attempt: Int) -> [UInt8] {
        state.withLock { $0.outputs[Output(attempt: attempt, stream: stream)] ?? [] }
    }

    var progress: [String] { state.withLock { $0.history.filter { $0.type == "execution.progress" }.map(\.payload) } }

    func append(_ bytes: [UInt8], _ stream: Domain.OutputStream) {
        state.withLock { state in
            state.outputs[Output(attempt: state.record.attempt, stream: stream), default: []] += bytes
        }
        tell(.grown)
    }

    func makeProgress() {
        state.withLock { $0.note("execution.progress", #"{"n":\#($0.history.count)}"#) }
        tell(.changed)
    }

    func move(to new: ExecutionState, isNewAttempt: Bool = false) {
        state.withLock { state in
            state.record.state = new
            if isNewAttempt { state.record.attempt += 1 }
            state.record.version += 1
            state.note("execution.\(new.rawValue)", "{}")
        }
        tell(.changed)
    }

    private func tell(_ news: ExecutionNews) {
        for listener in state.withLock({ $0.listeners }) { listener.hear(news) }
    }

    // MARK: Reading

    func listen(_ hear: @escaping @Sendable (ExecutionNews) -> Void) -> UInt64 {
        state.withLock { state in
            state.nextListener += 1
            state.listeners.append(Listener(number: state.nextListener, hear: hear))
            return state.nextListener
        }
    }

    func stopListening(_ number: UInt64) { state.withLock { $0.listeners.removeAll { $0.number == number } } }

    var listeners: Int { state.withLock { $0.listeners.count } }

    private func pause() async throws {
        let turns = below(25) == 0 ? 40 : below(3) == 0 ? 1 + below(4) : 0
        for _ in 0..<turns {
            try await loop.suspend { (waiter: Waiter<Void>) in self.loop.post { waiter.resume() } }
        }
    }

    func snapshot() async throws -> ExecutionSnapshot {
        try await pause()
        let snapshot = ExecutionSnapshot(current)
        try await pause()
        return snapshot
    }

    func history(after seq: Int64) async throws -> [ExecutionEvent] {
        try await pause()
        let events = state.withLock { $0.history.filter { $0.seq > seq } }
        try await pause()
        return events
    }

    func output(of attempt: Int, _ stream: Domain.OutputStream, from offset: Int64, limit: Int) async throws
        -> OutputSlice
    {
        try await pause()
        let bytes = stored(stream, attempt: attempt)
        // Four bytes hold any character.
        let piece = bytes.dropFirst(Int(offset)).prefix(min(limit, 4 + below(60)))
        try await pause()
        return OutputSlice(
            offset: offset,
            bytes: Array(piece),
            storedBytes: Int64(stored(stream, attempt: attempt).count)
        )
    }
}
