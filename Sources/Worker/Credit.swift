internal import EventLoop
internal import Synchronization

/// How far a channel's sender may go, and how far the server has stored.
final class Credit: Sendable {
    private struct State {
        var limit: Int64
        var durable: Int64
    }

    private let state: Mutex<State>
    private let beacon: Beacon

    init(limit: Int64, durable: Int64, loop: EventLoop) {
        state = Mutex(State(limit: limit, durable: durable))
        beacon = Beacon(loop: loop)
    }

    var limit: Int64 { state.withLock { $0.limit } }
    var durable: Int64 { state.withLock { $0.durable } }

    func update(limit: Int64, durable: Int64) {
        state.withLock { state in
            state.limit = max(state.limit, limit)
            state.durable = max(state.durable, durable)
        }
        beacon.advance()
    }

    /// Returns when more than `offset` may be sent.
    func wait(beyond offset: Int64) async throws {
        while true {
            let seen = beacon.revision
            if limit > offset { return }
            try await beacon.wait(after: seen)
        }
    }
}
