import API
import Base
import Domain
import EventLoop
import Executions
import Transport

/// Follows one execution for all viewers of one choice on one loop that have seen everything: reads each piece once,
/// encodes it once, and hands it to all of them in the same turn. What is stored within one turn becomes one piece.
///
/// A viewer that does not take a piece at once is let go: it catches up by itself and comes back. So nobody waits for the
/// slow, and nothing is kept for them. While no viewer is live, nothing is read; the next one brings its own place.
actor ExecutionFollower {
    /// Why a viewer's time with the follower is over.
    enum Outcome: Sendable {
        /// The viewer has been sent the end.
        case ended
        /// The viewer did not take what comes behind this place.
        case behind(ExecutionCursor)
        /// The follower is no longer where the viewer is.
        case moved
    }

    /// What a viewer that comes finds.
    enum View: Sendable {
        /// Somebody is live: the newcomer has to get to the mark; the record is the one that was told of.
        case live(ExecutionSnapshot, ExecutionCursor.Mark)
        /// Nobody is: the newcomer reads to the end, having noted the news so far.
        case idle(News)
    }

    /// How often the bell has rung.
    struct News: Sendable, Equatable {
        var changes: UInt64 = 0
        var growths: UInt64 = 0
    }

    private struct Member {
        let number: UInt64
        let sink: any EventSink
        let waiter: Waiter<Outcome>
    }

    nonisolated let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.serialExecutor.asUnownedSerialExecutor() }
    private let reading: any ExecutionReading
    private var members: [Member] = []
    private var nextNumber: UInt64 = 0
    /// Where the live members are; nil until there was one.
    private var place: (cursor: ExecutionCursor, snapshot: ExecutionSnapshot)?
    /// Counts the places that were brought by a newcomer.
    private var era: UInt64 = 0
    private var news = News()
    /// The news that the place includes.
    private var seen = News()
    private var sleeper: Waiter<Void>?
    private var isWaking = false
    private var steps: UInt64 = 0
    private var stepWaiters: [(waiter: Waiter<Void>, step: UInt64)] = []
    /// Why nobody is taken in any more.
    private var closure: BerthError?

    init(_ reading: any ExecutionReading, loop: EventLoop) {
        self.reading = reading
        self.loop = loop
    }

    // MARK: News

    /// Any thread may tell.
    nonisolated func hear(_ what: ExecutionNews) {
        loop.execute { self.assumeIsolated { $0.note(what) } }
    }

    private func note(_ what: ExecutionNews) {
        switch what {
        case .changed: news.changes += 1
        case .grown: news.growths += 1
        }
        wake()
    }

    /// At the end of the turn, so that everything that comes in it is read at once.
    private func wake() {
        guard sleeper != nil, !isWaking, !members.isEmpty || closure != nil else { return }
        isWaking = true
        loop.flushLater(self)
    }

    private func sleep() async throws {
        try await loop.suspend { waiter in
            self.assumeIsolated { follower in
                follower.sleeper = waiter
                if follower.closure != nil || follower.seen != follower.news { follower.wake() }
            }
        }
    }

    // MARK: The follower's own task

    /// Runs until it is closed.
    func run() async throws {
        while closure == nil {
            if members.isEmpty || seen == news {
                try await sleep()
                continue
            }
            steps += 1
            do {
                try await step()
            } catch {
                dismissAll(throwing: error)
            }
            releaseStepWaiters(until: members.isEmpty ? .max : steps)
        }
    }

    /// Takes everything up to the news of now.
    private func step() async throws {
        let news = news
        let era = era
        guard var snapshot = place?.snapshot, let position = place?.cursor.mark.position else { return }
        if news.changes != seen.changes {
            snapshot = try await reading.snapshot()
            let history = try await reading.history(after: position.state)
            guard era == self.era, !members.isEmpty else { return }
            try hand(snapshot) { cursor, encoder in try cursor.take(snapshot, history, to: &encoder) }
        }
        while !members.isEmpty {
            let requests = place?.cursor.requests(snapshot, upTo: nil) ?? []
            let attempt = snapshot.record.attempt
            var slices: [OutputSlice] = []
            for request in requests {
                slices.append(
                    try await reading.output(of: attempt, request.stream, from: request.offset, limit: request.limit)
                )
            }
            guard era == self.era, !members.isEmpty else { return }
            var isComplete = true
            try hand(snapshot) { cursor, encoder in
                for (request, slice) in zip(requests, slices) {
                    if try !cursor.take(slice, for: request, snapshot, upTo: nil, to: &encoder) { isComplete = false }
                }
                if isComplete, snapshot.record.state.isTerminal { try cursor.end(snapshot, to: &encoder) }
            }
            guard isComplete else {
                // The loop has others to serve.
                await Task.yield()
                continue
            }
            seen = news
            if snapshot.record.state.isTerminal { dismissAll(.ended) }
            return
        }
    }

    /// Encodes what comes next and offers it to all.
    private func hand(
        _ snapshot: ExecutionSnapshot,
        _ encode: (inout ExecutionCursor, inout EventEncoder) throws -> Void
    ) throws {
        guard var cursor = place?.cursor else { return }
        let before = cursor.checkpoint
        place = nil
        var encoder = EventEncoder()
        // A cursor that failed is not gone on with: its viewers are sent away.
        try encode(&cursor, &encoder)
        place = (cursor, snapshot)
        let block = encoder.finish()
        guard !block.isEmpty else { return }
        for number in refusals(of: block).reversed() {
            members.remove(at: number).waiter.resume(returning: .behind(before))
        }
    }

    /// Offers the block to all; the places of those who have not taken it.
    private func refusals(of block: EventBlock) -> [Int] {
        var refusals: [Int] = []
        for start in stride(from: 0, to: members.count, by: Self.batch) {
            let some = start..<min(start + Self.batch, members.count)
            // The state of many viewers lies far apart. Asked for before any of them is sent something, which takes the
            // caches for itself, it comes all at once instead of piece by piece.
            let slow = some.filter { !members[$0].sink.hasRoom }
            for number in some where slow.contains(number) || !members[number].sink.offer(block) {
                refusals.append(number)
            }
        }
        return refusals
    }

    private static let batch = 16

    // MARK: Viewers

    var view: View {
        if let place, !members.isEmpty { return .live(place.snapshot, place.cursor.mark) }
        return .idle(news)
    }

    /// Makes the viewer live if the place is still at `mark`; returns when that is over.
    func watch(_ sink: any EventSink, at mark: ExecutionCursor.Mark) async throws -> Outcome {
        guard let place, !members.isEmpty, place.cursor.mark == mark else { return .moved }
        return try await enlist(sink)
    }

    /// Makes the viewer live, the first one: the others' place is its own from now on.
    func lead(_ sink: any EventSink, _ cursor: ExecutionCursor, _ snapshot: ExecutionSnapshot, _ news: News)
        async throws
        -> Outcome
    {
        guard members.isEmpty else { return .moved }
        place = (cursor, snapshot)
        era += 1
        seen = news
        return try await enlist(sink)
    }

    private func enlist(_ sink: any EventSink) async throws -> Outcome {
        if let closure { throw closure }
        nextNumber += 1
        let number = nextNumber
        do {
            return try await loop.suspend { waiter in
                self.assumeIsolated { follower in
                    follower.members.append(Member(number: number, sink: sink, waiter: waiter))
                    if follower.seen != follower.news { follower.wake() }
                }
            }
        } catch {
            members.removeAll { $0.number == number }
            if members.isEmpty { releaseStepWaiters(until: .max) }
            throw error
        }
    }

    /// Returns when the live viewers have been offered everything that is stored now, or nobody is live any more.
    func refresh() async throws {
        guard !members.isEmpty, closure == nil else { return }
        note(.changed)
        try await loop.suspend { waiter in
            self.assumeIsolated { $0.stepWaiters.append((waiter, $0.steps + 1)) }
        }
    }

    // MARK: The end

    /// Ends the task and lets every viewer go with `error`. Any thread may.
    nonisolated func close(_ error: BerthError) {
        loop.execute { self.assumeIsolated { $0.end(error) } }
    }

    private func end(_ error: BerthError) {
        closure = closure ?? error
        dismissAll(throwing: error)
        releaseStepWaiters(until: .max)
        wake()
    }

    private func dismissAll(_ outcome: Outcome) {
        let gone = members
        members = []
        for member in gone { member.waiter.resume(returning: outcome) }
    }

    private func dismissAll(throwing error: any Error) {
        let gone = members
        members = []
        for member in gone { member.waiter.resume(throwing: error) }
    }

    private func releaseStepWaiters(until step: UInt64) {
        stepWaiters.removeAll { waiting in
            guard waiting.step <= step else { return false }
            waiting.waiter.resume()
            return true
        }
    }
}

extension ExecutionFollower: LoopFlushable {
    nonisolated func flush() {
        assumeIsolated { follower in
            follower.isWaking = false
            follower.sleeper?.resume()
            follower.sleeper = nil
        }
    }
}
