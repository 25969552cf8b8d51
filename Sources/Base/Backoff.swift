/// Exponential waits: `first`, doubled each time up to `limit`, each shortened by up to `jitter` of itself.
public struct Backoff: Sendable {
    public var first: Duration
    public var limit: Duration
    /// Share of each wait that is random, 0...1.
    public var jitter: Double
    public private(set) var attempt = 0

    public init(first: Duration, limit: Duration, jitter: Double = 0.2) {
        self.first = first
        self.limit = limit
        self.jitter = jitter
    }

    /// 1, 2, 4, 8, 16, 30 seconds: a worker's reconnect (seed 004, section 4.2).
    public static var workerReconnect: Backoff { Backoff(first: .seconds(1), limit: .seconds(30)) }

    public mutating func next(_ randomness: any Randomness) -> Duration {
        let doubled = first * (1 << min(attempt, 20))
        attempt += 1
        let full = min(doubled, limit)
        return full * (1 - jitter * randomness.fraction())
    }

    public mutating func reset() { attempt = 0 }
}
