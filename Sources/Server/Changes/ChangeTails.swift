import Base
import Database
import EventLoop
import Synchronization

/// The tails of a server: one for each organization and loop that has viewers.
final class ChangeTails: Sendable {
    fileprivate struct Key: Hashable {
        var organization: OrganizationID
        var loop: ObjectIdentifier
    }

    private struct Entry {
        let tail: ChangeTail
        var viewers: Int
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var isStopped = false
    }

    /// One viewer's hold on a tail, to be given back with `leave`.
    struct Seat: Sendable {
        let tail: ChangeTail
        fileprivate let key: Key
        fileprivate let tails: ChangeTails

        func leave() { tails.leave(key) }
    }

    private let feed: Feed
    private let state = Mutex(State())

    init(_ feed: Feed) { self.feed = feed }

    /// Throws `unavailable` once the server stops.
    func enter(_ organization: OrganizationID, loop: EventLoop) throws(BerthError) -> Seat {
        let key = Key(organization: organization, loop: ObjectIdentifier(loop))
        let (tail, isNew) = try state.withLock { state throws(BerthError) in
            if state.isStopped { throw Self.stopping }
            if let known = state.entries[key]?.tail {
                state.entries[key]?.viewers += 1
                return (known, false)
            }
            let tail = ChangeTail(feed, organization, loop: loop)
            state.entries[key] = Entry(tail: tail, viewers: 1)
            return (tail, true)
        }
        if isNew { tail.start() }
        return Seat(tail: tail, key: key, tails: self)
    }

    private func leave(_ key: Key) {
        let last = state.withLock { state -> ChangeTail? in
            state.entries[key]?.viewers -= 1
            guard state.entries[key]?.viewers == 0 else { return nil }
            return state.entries.removeValue(forKey: key)?.tail
        }
        last?.close(BerthError(.internal, "nobody follows the organization any more"))
    }

    /// Every viewer's stream is cut, so that its client comes back to the server's successor.
    func stop() {
        let tails = state.withLock { state in
            state.isStopped = true
            return state.entries.map(\.value.tail)
        }
        for tail in tails { tail.close(Self.stopping) }
    }

    private static var stopping: BerthError {
        BerthError(.unavailable, "the server is stopping", remedy: "try again in a moment", isRetryable: true)
    }
}
