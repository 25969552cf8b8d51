import Accounts
import Base
import Domain
import Synchronization
import Transport

/// What lasts beyond its request and can be ended from outside.
protocol Severable: AnyObject, Sendable {
    /// The key that opened it is good no more. On any thread.
    func sever()
}

extension EventWriter: Severable {
    func sever() { close() }
}

extension WebSocket: Severable {
    func sever() { close(code: .policyViolation, reason: "the API key is good no more") }
}

/// Streams and tunnels by the key that opened them: they end with it, at once when it is revoked here, within seconds when
/// that was elsewhere or its time is up.
final class OpenSessions: Sendable {
    private struct Session {
        weak var session: (any Severable)?
    }

    private struct State {
        var sessions: [APIKeyID: [Session]] = [:]
        var count = 0
        /// Those that have ended by themselves are let go when there are more than this.
        var tidyAbove = 64
    }

    private let state = Mutex(State())

    func add(_ session: any Severable, key: APIKeyID?) {
        guard let key else { return }
        state.withLock { state in
            if state.count >= state.tidyAbove {
                state.sessions = state.sessions.mapValues { $0.filter { $0.session != nil } }.filter {
                    !$0.value.isEmpty
                }
                state.count = state.sessions.values.reduce(0) { $0 + $1.count }
                state.tidyAbove = max(64, 2 * state.count)
            }
            state.sessions[key, default: []].append(Session(session: session))
            state.count += 1
        }
    }

    func sever(_ key: APIKeyID) {
        let ended = state.withLock { state in
            let ended = state.sessions.removeValue(forKey: key) ?? []
            state.count -= ended.count
            return ended
        }
        for session in ended { session.session?.sever() }
    }

    /// Until cancelled.
    func run(_ accounts: Accounts, time: any TimeSource) async throws {
        while true {
            // As long as a key that was good is believed to be.
            try await time.wait(for: .seconds(5))
            let keys = state.withLock { state in
                state.sessions.filter { $0.value.contains { $0.session != nil } }.keys.sorted()
            }
            guard !keys.isEmpty else { continue }
            for key in try await accounts.lapsed(among: keys) { sever(key) }
        }
    }
}
