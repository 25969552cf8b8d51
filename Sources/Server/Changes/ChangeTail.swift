import Base
import Database
import EventLoop

/// Follows one organization's feed for all viewers on one loop that have seen everything: reads each event once, encodes
/// it once for each choice, and hands it to all of them in the same turn.
///
/// A viewer that does not take a block at once is let go: it catches up from the table by itself and comes back. So
/// nobody waits for the slow, and nothing is kept for them. What was read last is kept, so that a crowd that comes back
/// does not ask the database one by one.
actor ChangeTail {
    private struct Member {
        let number: UInt64
        let sink: any ChangeSink
        let choice: ChangeChoice
        /// What it has been offered.
        var after: Int64
        let waiter: Waiter<Int64>
    }

    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }
    private let feed: Feed
    private let organization: OrganizationID
    private var members: [Member] = []
    private var nextNumber: UInt64 = 0
    /// The number up to which events were handed out; nil until somebody came.
    private var position: Int64?
    /// The last events up to `position`, without a gap.
    private var recent: [ChangeEntry] = []
    private var sleeper: Waiter<Void>?
    private var task: LoopTask?
    /// Why nobody is taken in any more.
    private var closure: BerthError?

    /// Events that are read at once, and that are kept.
    private static let batch = 512

    init(_ feed: Feed, _ organization: OrganizationID, loop: EventLoop) {
        self.feed = feed
        self.organization = organization
        self.loop = loop
    }

    // MARK: Its own task

    nonisolated func start() {
        loop.execute {
            self.assumeIsolated { tail in
                guard tail.closure == nil else { return }
                tail.task = self.loop.spawn { await self.run() }
            }
        }
    }

    private func run() async {
        while closure == nil, !Task.isCancelled {
            do {
                guard let position, !members.isEmpty else {
                    try await sleep()
                    continue
                }
                let events = try await feed.next(organization, after: position, limit: Self.batch)
                // Somebody who came first of all has brought another place.
                guard self.position == position else { continue }
                if events.isEmpty {
                    try await feed.waitForEvent(organization, after: position)
                } else {
                    try hand(events.map(ChangeEntry.init))
                }
            } catch {
                dismissAll(throwing: closure ?? error)
            }
        }
    }

    private func sleep() async throws {
        try await loop.suspend { waiter in
            self.assumeIsolated { tail in
                tail.sleeper = waiter
                if tail.closure != nil || !tail.members.isEmpty { waiter.resume() }
            }
        }
    }

    private func hand(_ entries: [ChangeEntry]) throws {
        guard let first = entries.first?.event.seq, let last = entries.last?.event.seq else { return }
        recent.append(contentsOf: entries)
        if recent.count > Self.batch { recent.removeFirst(recent.count - Self.batch) }
        position = last
        var blocks: [ChangeChoice: ChangeBlock?] = [:]
        var staying: [Member] = []
        staying.reserveCapacity(members.count)
        for var member in members {
            let block: ChangeBlock?
            if member.after >= first {
                block = try Self.block(entries[...].drop { $0.event.seq <= member.after }, member.choice)
            } else if let known = blocks[member.choice] {
                block = known
            } else {
                block = try Self.block(entries[...], member.choice)
                blocks[member.choice] = .some(block)
            }
            if let block, !member.sink.offer(block) {
                member.waiter.resume(returning: member.after)
            } else {
                member.after = max(member.after, last)
                staying.append(member)
            }
        }
        members = staying
    }

    /// nil: nothing of it is shown.
    private static func block(_ entries: ArraySlice<ChangeEntry>, _ choice: ChangeChoice) throws -> ChangeBlock? {
        var encoder = ChangeEncoder(choice.form)
        try encoder.append(entries, for: choice)
        return encoder.isEmpty ? nil : encoder.finish()
    }

    // MARK: Viewers

    /// Sends what comes after number `after`. Returns the number behind which the viewer has to catch up by itself.
    func follow(_ sink: any ChangeSink, _ choice: ChangeChoice, after: Int64) async throws -> Int64 {
        if let closure { throw closure }
        if members.isEmpty, after > position ?? -1 {
            position = after
            recent = []
        }
        if let position, after < position {
            guard let first = recent.first?.event.seq, first <= after + 1 else { return after }
            let missed = recent[...].drop { $0.event.seq <= after }
            if let block = try Self.block(missed, choice), !sink.offer(block) { return after }
        }
        return try await enlist(sink, choice, after: max(after, position ?? after))
    }

    private func enlist(_ sink: any ChangeSink, _ choice: ChangeChoice, after: Int64) async throws -> Int64 {
        nextNumber += 1
        let number = nextNumber
        do {
            return try await loop.suspend { waiter in
                self.assumeIsolated { tail in
                    tail.members.append(
                        Member(number: number, sink: sink, choice: choice, after: after, waiter: waiter)
                    )
                    tail.sleeper?.resume()
                    tail.sleeper = nil
                }
            }
        } catch {
            members.removeAll { $0.number == number }
            throw error
        }
    }

    // MARK: The end

    /// Ends the task and lets every viewer go with `error`. Any thread may.
    nonisolated func close(_ error: BerthError) {
        loop.execute { self.assumeIsolated { $0.end(error) } }
    }

    private func end(_ error: BerthError) {
        closure = closure ?? error
        task?.cancel()
        dismissAll(throwing: error)
        sleeper?.resume()
        sleeper = nil
    }

    private func dismissAll(throwing error: any Error) {
        let gone = members
        members = []
        for member in gone { member.waiter.resume(throwing: error) }
    }
}
