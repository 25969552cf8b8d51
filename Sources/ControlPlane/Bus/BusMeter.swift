public import Base
import Synchronization

/// What the bus counts of itself, and whether it is reached.
public final class BusMeter: Sendable {
    public struct Reading: Sendable {
        public var isReached = true
        /// Why not, in the bus's own words.
        public var complaint: String?
        public var published: UInt64 = 0
        public var failures: UInt64 = 0
        public var taken: UInt64 = 0
        public var repeated: UInt64 = 0
        public var refused: UInt64 = 0
        /// Events of the feed that are not published yet.
        public var waitingEvents: Int64 = 0
        /// Messages that wait beside the feed: dead letters.
        public var held: Int64 = 0
    }

    private struct State {
        var reading = Reading()
        var saidAt: Uptime?
    }

    private let state = Mutex(State())
    private let time: any TimeSource
    private let log: Log

    public init(time: any TimeSource, log: Log) {
        self.time = time
        self.log = log
    }

    public var reading: Reading { state.withLock(\.reading) }

    func count(_ change: (inout Reading) -> Void) { state.withLock { change(&$0.reading) } }

    /// The bus answered. Said once after an outage.
    func reached() {
        let wasDown = state.withLock { state in
            defer {
                state.reading.isReached = true
                state.reading.complaint = nil
                state.saidAt = nil
            }
            return !state.reading.isReached
        }
        if wasDown { log.info("event bus is back") }
    }

    /// The bus did not answer. Said at once, and then once a minute.
    func failed(_ error: BerthError) {
        let now = time.uptime
        let (isSaid, waiting) = state.withLock { state in
            state.reading.isReached = false
            state.reading.complaint = error.message
            state.reading.failures += 1
            let isSaid = state.saidAt.map { now - $0 >= .seconds(60) } ?? true
            if isSaid { state.saidAt = now }
            return (isSaid, state.reading.waitingEvents)
        }
        guard isSaid else { return }
        log.warning(
            "event bus is out of reach; everything for it is kept",
            ["code": error.code, "error": error.message, "waiting_events": waiting]
        )
    }
}
