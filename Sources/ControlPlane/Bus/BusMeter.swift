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
        /// Topics that take nothing though the bus is there, with the reason, by name.
        public var refusals: [RefusedTopic] = []
    }

    public struct RefusedTopic: Sendable {
        public var topic: String
        public var reason: BerthError
    }

    private struct Refusal {
        var reason: BerthError
        var backoff = Backoff(first: .seconds(1), limit: .seconds(60))
        var retryAt: Uptime
    }

    private struct State {
        var reading = Reading()
        var saidAt: Uptime?
        var refusals: [String: Refusal] = [:]
    }

    private let state = Mutex(State())
    private let time: any TimeSource
    private let randomness: any Randomness
    private let log: Log

    public init(time: any TimeSource, randomness: any Randomness, log: Log) {
        self.time = time
        self.randomness = randomness
        self.log = log
    }

    public var reading: Reading {
        state.withLock { state in
            var reading = state.reading
            reading.refusals = state.refusals.sorted { $0.key < $1.key }
                .map { RefusedTopic(topic: $0.key, reason: $0.value.reason) }
            return reading
        }
    }

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

    // MARK: - Topics that refuse

    /// Whether a topic that refused is to be left alone for now.
    func isResting(_ topic: String) -> Bool {
        let now = time.uptime
        return state.withLock { $0.refusals[topic].map { now < $0.retryAt } ?? false }
    }

    func hasRefused(_ topic: String) -> Bool { state.withLock { $0.refusals[topic] != nil } }

    /// A topic takes nothing though the bus is there. Said at once, and again for another reason.
    /// - Parameter reason: nil: the same as before.
    func refused(_ topic: String, _ reason: BerthError?) {
        let now = time.uptime
        let news = state.withLock { state -> BerthError? in
            let known = state.refusals[topic]
            guard let reason = reason ?? known?.reason else { return nil }
            var refusal = known ?? Refusal(reason: reason, retryAt: now)
            refusal.reason = reason
            refusal.retryAt = now + refusal.backoff.next(randomness)
            state.refusals[topic] = refusal
            return known?.reason.message == reason.message ? nil : reason
        }
        guard let reason = news else { return }
        log.warning(
            "a topic takes no messages; what is for it is kept, and the others go on",
            ["topic": topic, "code": reason.code, "error": reason.description]
        )
    }

    func took(_ topic: String) {
        if state.withLock({ $0.refusals.removeValue(forKey: topic) }) != nil {
            log.info("the topic takes messages again", ["topic": topic])
        }
    }
}
