public import Base

/// The life of a job. Pure; drawn in `Docs/states.md`. An event of a turn that is over is `stale`.
public struct JobMachine: Sendable, Equatable {
    public enum Status: Sendable, Equatable {
        /// Owner: the servers that may run it. Acted on at `runAt`. Exits: claim → active.
        case queued(runAt: Timestamp)
        /// Owner: its holder, for as long as that server's lease holds. Exits: complete, fail, lose, hand back.
        case active(JobHolder)
        /// No exits.
        case completed
        /// No exits: trying again is another job.
        case failed(FailureReason)
    }

    public private(set) var status: Status
    /// Counts turns: the fence of what a holder writes.
    public private(set) var attempt: Int
    /// Turns that failed; those that were lost or handed back do not count.
    public private(set) var failures: Int
    /// Turns whose holder went away.
    public private(set) var losses: Int
    public let policy: JobPolicy

    /// A job that its servers do not survive is given up after as many.
    public static let maximumLosses = 10

    public init(status: Status, attempt: Int, failures: Int, losses: Int = 0, policy: JobPolicy) {
        self.status = status
        self.attempt = attempt
        self.failures = failures
        self.losses = losses
        self.policy = policy
    }

    public var state: JobState {
        switch status {
        case .queued: .queued
        case .active: .active
        case .completed: .completed
        case .failed: .failed
        }
    }

    /// Gives it a turn.
    public mutating func claim(by holder: JobHolder, at now: Timestamp) throws(BerthError) {
        guard case .queued(let runAt) = status, runAt <= now else { throw refused("claimed") }
        attempt += 1
        status = .active(holder)
    }

    public mutating func complete(attempt: Int) throws(BerthError) {
        try fence(attempt)
        status = .completed
    }

    /// The turn brought an error. Returns when the next one comes; nil: there is none.
    /// - Parameters:
    ///   - isFinal: another try would bring the same.
    ///   - fraction: random, 0..<1.
    @discardableResult
    public mutating func fail(
        attempt: Int,
        _ reason: FailureReason,
        isFinal: Bool = false,
        at now: Timestamp,
        fraction: Double
    ) throws(BerthError) -> Timestamp? {
        try fence(attempt)
        failures += 1
        guard !isFinal, failures < policy.maximumAttempts else { return end(reason) }
        return again(at: now + policy.wait(after: failures, fraction: fraction))
    }

    /// Its holder is gone, which says nothing of the job, so it is none of its tries. But one that kills its servers must
    /// not do so for ever: after the first loss the next turn comes at once, then after 1, 2, 4, … 60 s, and the tenth
    /// is the last. Returns when; nil: there is none.
    @discardableResult
    public mutating func lose(attempt: Int, at now: Timestamp) throws(BerthError) -> Timestamp? {
        try fence(attempt)
        losses += 1
        guard losses < Self.maximumLosses else {
            return end(FailureReason(.infrastructureLost, "the servers that ran it went away", remedy: "try it again"))
        }
        return again(at: now + (losses == 1 ? .zero : min(.seconds(1 << (losses - 2)), .seconds(60))))
    }

    /// Its holder stops in order: the turn does not count.
    public mutating func handBack(attempt: Int, at now: Timestamp) throws(BerthError) {
        try fence(attempt)
        status = .queued(runAt: now)
    }

    private mutating func again(at next: Timestamp) -> Timestamp {
        status = .queued(runAt: next)
        return next
    }

    private mutating func end(_ reason: FailureReason) -> Timestamp? {
        status = .failed(reason)
        return nil
    }

    private func fence(_ number: Int) throws(BerthError) {
        guard number == attempt else { throw .stale("attempt", held: Int64(number), current: Int64(attempt)) }
        guard case .active = status else { throw refused("ended") }
    }

    private func refused(_ wanted: String) -> BerthError { .illegal("job", from: state, to: wanted) }
}
