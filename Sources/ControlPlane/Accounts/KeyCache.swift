import Base
import Domain
import Synchronization

/// Good keys of the last seconds, so that a busy client costs no query per request, and the uses not yet written down.
///
/// A revocation through this server takes effect at once; one through another replica after ``lifetime``.
final class KeyCache: Sendable {
    static let lifetime = Duration.seconds(5)
    private static let capacity = 1024

    private final class Entry: Sendable {
        let principal: Principal
        let until: Uptime
        /// When a use was last noted, in milliseconds.
        let noted = Atomic<Int64>(0)

        init(_ principal: Principal, until: Uptime) {
            self.principal = principal
            self.until = until
        }
    }

    private struct State {
        var entries: [[UInt8]: Entry] = [:]
        /// Counts revocations: what was read before one must not be stored after it.
        var generation = 0
        var uses: [APIKeyID: Timestamp] = [:]
    }

    private let state = Mutex(State())

    var generation: Int { state.withLock(\.generation) }

    func store(_ principal: Principal, _ hash: [UInt8], until: Uptime, generation: Int) {
        state.withLock { state in
            guard state.generation == generation else { return }
            if state.entries.count >= Self.capacity { state.entries.removeAll() }
            state.entries[hash] = Entry(principal, until: until)
        }
    }

    func forget(_ hash: [UInt8]) {
        state.withLock { state in
            state.generation += 1
            state.entries[hash] = nil
        }
    }

    func used(_ key: APIKeyID, at now: Timestamp) {
        state.withLock { $0.uses[key] = now }
    }

    /// The key's owner, and the use noted: to the second, which is more than is kept.
    func use(_ hash: [UInt8], at now: Uptime, _ time: Timestamp) -> Principal? {
        state.withLock { state in
            guard let entry = state.entries[hash], entry.until > now else { return nil }
            let noted = Timestamp(milliseconds: entry.noted.load(ordering: .relaxed))
            if let key = entry.principal.keyID, time - noted >= .seconds(1) {
                entry.noted.store(time.milliseconds, ordering: .relaxed)
                state.uses[key] = time
            }
            return entry.principal
        }
    }

    /// The uses since the last call, by key.
    func takeUses() -> [(key: APIKeyID, at: Timestamp)] {
        state.withLock { state in
            defer { state.uses = [:] }
            return state.uses.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
    }
}
