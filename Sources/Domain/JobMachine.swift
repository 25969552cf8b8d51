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
    /// Turns that failed, or whose holder went away; those that were handed back do not count.
    public private(set) var failures: Int
    public let policy: JobPolicy

    public init(status: Status, attempt: Int, failures: Int, policy: JobPolicy) {
        self.status = status
        self.attempt = attempt
        self.failures = failures
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
        return again(reason, isFinal: isFinal, at: now + policy.wait(after: failures + 1, fraction: fraction))
    }

    /// Its holder is gone. It counts, so that a job that kills its server does not do so for ever; the next turn comes at
    /// once. Returns when; nil: there is none.
    @discardableResult
    public mutating func lose(attempt: Int, at now: Timestamp) throws(BerthError) -> Timestamp? {
        try fence(attempt)
        let reason = FailureReason(.infrastructureLost, "the server that ran it went away", remedy: "try it again")
        return again(reason, isFinal: false, at: now)
    }

    /// Its holder stops in order: the turn does not count.
    public mutating func handBack(attempt: Int, at now: Timestamp) throws(BerthError) {
        try fence(attempt)
        status = .queued(runAt: now)
    }

    private mutating func again(_ reason: FailureReason, isFinal: Bool, at next: Timestamp) -> Timestamp? {
        failures += 1
        guard !isFinal, failures < policy.maximumAttempts else {
            status = .failed(reason)
            return nil
        }
        status = .queued(runAt: next)
        return next
    }

    private func fence(_ number: Int) throws(BerthError) {
        guard number == attempt else { throw .stale("attempt", held: Int64(number), current: Int64(attempt)) }
        guard case .active = status else { throw refused("ended") }
    }

    private func refused(_ wanted: String) -> BerthError { .illegal("job", from: state, to: wanted) }
}
