import Synchronization

/// Bytes on their way into the database.
struct PendingAppend: Sendable {
    var place: DatabaseOutput.Place
    var offset: Int64
    var bytes: ArraySlice<UInt8>
}

/// Those who wait to append: one of them at a time writes for all.
final class AppendQueue: Sendable {
    enum Turn: Sendable {
        case done(Result<Int64, any Error>)
        /// Write your own and whatever waits.
        case lead
    }

    struct Waiter: Sendable {
        var append: PendingAppend
        var continuation: CheckedContinuation<Turn, Never>

        func resume(_ turn: Turn) { continuation.resume(returning: turn) }
    }

    private struct State {
        var isLed = false
        var waiting: [Waiter] = []
    }

    /// Bytes of one transaction, roughly.
    private static let groupBytes = 4 << 20
    private let state = Mutex(State())

    /// Returns when the append is written, or when it is this caller's turn to write.
    func join(_ append: PendingAppend) async -> Turn {
        await withCheckedContinuation { continuation in
            let leads = state.withLock { state in
                guard state.isLed else {
                    state.isLed = true
                    return true
                }
                state.waiting.append(Waiter(append: append, continuation: continuation))
                return false
            }
            if leads { continuation.resume(returning: .lead) }
        }
    }

    /// For the leader: those whose bytes go with its own, in the order in which they came.
    func take() -> [Waiter] {
        state.withLock { state in
            var bytes = 0
            let count = state.waiting.firstIndex { waiter in
                bytes += waiter.append.bytes.count
                return bytes > Self.groupBytes
            }
            let group = Array(state.waiting.prefix(count ?? state.waiting.count))
            state.waiting.removeFirst(group.count)
            return group
        }
    }

    func putBack(_ group: [Waiter]) { state.withLock { $0.waiting.insert(contentsOf: group, at: 0) } }

    /// The leader is done: the next one leads.
    func passOn() {
        let next = state.withLock { state -> Waiter? in
            guard !state.waiting.isEmpty else {
                state.isLed = false
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume(.lead)
    }
}
