import API
import Base
import Domain
import Executions
import Transport

/// One viewer of an execution. It catches up from the store at its own pace, one piece at a time, then lives with the
/// follower until it falls behind or the end has been sent. Nothing is read before the viewer has taken what came before.
struct ExecutionViewer {
    private var seat: ExecutionFollowers.Seat
    private let sink: any EventSink
    private var cursor: ExecutionCursor
    /// The execution as read after this many changes.
    private var known: (snapshot: ExecutionSnapshot, changes: UInt64)?
    private var hasRefreshed = false

    init(_ seat: ExecutionFollowers.Seat, sink: any EventSink, cursor: ExecutionCursor) {
        self.seat = seat
        self.sink = sink
        self.cursor = cursor
    }

    func leave() { seat.leave() }

    /// Returns when the end has been sent or, for one who does not follow, what is stored.
    mutating func run(follows: Bool) async throws {
        while true {
            let outcome: ExecutionFollower.Outcome
            switch await seat.follower.view {
            case .live(let snapshot, let mark) where follows:
                switch cursor.relation(to: mark) {
                case .equal: outcome = try await seat.follower.watch(sink, at: mark)
                case .behind:
                    try await catchUp(snapshot, to: mark)
                    continue
                case .ahead where !hasRefreshed:
                    // It saw what the others are about to be sent.
                    hasRefreshed = true
                    try await seat.follower.refresh()
                    continue
                case .ahead, .apart:
                    seat = try seat.alone()
                    known = nil
                    continue
                }
            case .live(_, _):
                try await catchUp(try await seat.reading.snapshot(), to: nil)
                return
            case .idle(let news):
                let snapshot = try await snapshot(news)
                try await catchUp(snapshot, to: nil)
                if snapshot.record.state.isTerminal || !follows { return }
                outcome = try await seat.follower.lead(sink, cursor, snapshot, news)
            }
            switch outcome {
            case .ended: return
            case .moved: continue
            case .behind(let cursor):
                self.cursor = cursor
                hasRefreshed = false
                try await sink.drained()
            }
        }
    }

    private mutating func snapshot(_ news: ExecutionFollower.News) async throws -> ExecutionSnapshot {
        if let known, known.changes == news.changes { return known.snapshot }
        let snapshot = try await seat.reading.snapshot()
        known = (snapshot, news.changes)
        return snapshot
    }

    /// Sends what lies before `goal` or, without one, all that is stored and the end if it is known.
    private mutating func catchUp(_ snapshot: ExecutionSnapshot, to goal: ExecutionCursor.Mark?) async throws {
        var encoder = EventEncoder()
        let state = cursor.mark.position.state
        if goal == nil || state < goal?.position.state ?? 0 {
            let history = try await seat.reading.history(after: state)
            try cursor.take(snapshot, history.filter { $0.seq <= goal?.position.state ?? .max }, to: &encoder)
        } else {
            try cursor.take(snapshot, [], to: &encoder)
        }
        var isComplete = false
        while !isComplete {
            isComplete = true
            for request in cursor.requests(snapshot, upTo: goal) {
                let slice = try await seat.reading.output(
                    of: snapshot.record.attempt,
                    request.stream,
                    from: request.offset,
                    limit: request.limit
                )
                guard goal == nil || !slice.bytes.isEmpty else {
                    throw BerthError(.internal, "output that others were sent is no longer stored")
                }
                if try !cursor.take(slice, for: request, snapshot, upTo: goal, to: &encoder) { isComplete = false }
            }
            if isComplete, goal == nil, snapshot.record.state.isTerminal { try cursor.end(snapshot, to: &encoder) }
            let block = encoder.finish()
            encoder = EventEncoder()
            if !block.isEmpty { try await sink.write(block) }
            // The loop has others to serve.
            if !isComplete { await Task.yield() }
        }
    }
}
