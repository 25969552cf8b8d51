import Base
import Domain
import EventLoop
import Executions
import Synchronization

/// The followers of a server: one for each execution, choice and loop that has viewers.
final class ExecutionFollowers: Sendable {
    fileprivate struct Key: Hashable {
        var execution: ExecutionID
        var choice: EventChoice
        var loop: ObjectIdentifier
        /// 0: shared by all; others belong to one viewer.
        var owner: UInt64
    }

    private struct Entry {
        let follower: ExecutionFollower
        let reading: any ExecutionReading
        let listener: UInt64
        var viewers: Int
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        var nextOwner: UInt64 = 0
        var isStopped = false
    }

    /// One viewer's hold on a follower, to be given back with `leave`.
    struct Seat: Sendable {
        let follower: ExecutionFollower
        let reading: any ExecutionReading
        fileprivate let organization: OrganizationID
        fileprivate let key: Key
        fileprivate let followers: ExecutionFollowers

        /// A follower of the viewer's own instead, as what it does not follow tells it apart from the others.
        func alone() throws(BerthError) -> Seat {
            let own = try followers.enter(key.execution, organization, key.choice, loop: follower.loop, isShared: false)
            leave()
            return own
        }

        func leave() { followers.leave(key) }
    }

    private let reading: @Sendable (ExecutionID, OrganizationID) -> any ExecutionReading
    private let state = Mutex(State())

    init(_ reading: @escaping @Sendable (ExecutionID, OrganizationID) -> any ExecutionReading) {
        self.reading = reading
    }

    /// For a viewer on `loop` who may see the execution. Throws `unavailable` once the server stops.
    func enter(
        _ execution: ExecutionID,
        _ organization: OrganizationID,
        _ choice: EventChoice,
        loop: EventLoop,
        isShared: Bool = true
    ) throws(BerthError) -> Seat {
        let reading = reading(execution, organization)
        let (key, follower, isNew) = try state.withLock { state throws(BerthError) in
            if state.isStopped { throw Self.stopping }
            if !isShared { state.nextOwner += 1 }
            let owner = isShared ? 0 : state.nextOwner
            let key = Key(execution: execution, choice: choice, loop: ObjectIdentifier(loop), owner: owner)
            if let known = state.entries[key]?.follower {
                state.entries[key]?.viewers += 1
                return (key, known, false)
            }
            let follower = ExecutionFollower(reading, loop: loop)
            let listener = reading.listen { follower.hear($0) }
            state.entries[key] = Entry(follower: follower, reading: reading, listener: listener, viewers: 1)
            return (key, follower, true)
        }
        if isNew { loop.spawn { try? await follower.run() } }
        return Seat(follower: follower, reading: reading, organization: organization, key: key, followers: self)
    }

    private func leave(_ key: Key) {
        let last = state.withLock { state -> Entry? in
            state.entries[key]?.viewers -= 1
            guard state.entries[key]?.viewers == 0 else { return nil }
            return state.entries.removeValue(forKey: key)
        }
        guard let last else { return }
        last.reading.stopListening(last.listener)
        last.follower.close(BerthError(.internal, "nobody follows the execution any more"))
    }

    /// Every viewer's stream is cut, so that its client comes back to the server's successor.
    func stop() {
        let followers = state.withLock { state in
            state.isStopped = true
            return state.entries.map(\.value.follower)
        }
        for follower in followers { follower.close(Self.stopping) }
    }

    private static var stopping: BerthError {
        BerthError(.unavailable, "the server is stopping", remedy: "try again in a moment", isRetryable: true)
    }
}
