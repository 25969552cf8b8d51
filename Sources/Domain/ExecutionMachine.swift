public import Base

/// The life of an execution. Pure: time and ids come in, effects go out. Drawn in `Docs/states.md`.
public struct ExecutionMachine: Sendable, Equatable {
    public enum Status: Sendable, Equatable {
        /// Waits for a worker, after a failure not before `notBefore`. Owner: the dispatcher. Deadline: `queued`, then
        /// failed(unavailable). Exits: assign → assigned, cancel → cancelled, expire and refuse → failed.
        case queued(since: Timestamp, attempts: Int, notBefore: Timestamp?, deadlineAt: Timestamp)
        /// A worker has it and prepares. Owner: that worker. Deadline: `preparation`, then failed(infrastructureLost);
        /// after a cancel `cancelGrace`, then cancelled.
        /// Exits: start → running, report → its end or queued, return → queued, lose → failed, queued or cancelled, expire.
        case assigned(AttemptClaim, cancel: CancelRequest?, deadlineAt: Timestamp)
        /// Its process exists. Owner: the worker, whose silence of 90 s is `lose`. Deadline: the run's time limit and
        /// `timeoutGrace`, then timedOut (nil without a time limit); after a cancel `cancelGrace`, then cancelled.
        /// Exits: report → its end or queued, lose → failed, queued or cancelled, expire → timedOut or cancelled.
        case running(AttemptClaim, startedAt: Timestamp, cancel: CancelRequest?, deadlineAt: Timestamp?)
        /// Recorded for good. No exits.
        case ended(ExecutionEnd)
    }

    public enum Effect: Sendable, Equatable {
        /// Look for a worker.
        case dispatch
        case sendCancel(AttemptClaim)
        /// Tell the worker that it may drop the attempt's row and bytes.
        case sendForget(AttemptClaim)
        case releaseSlot(AttemptClaim)
        /// The attempt is over and the execution is not; nil: its worker never began it, which is no failure.
        case recordAttempt(AttemptClaim, FailureReason?)
        /// The end was recorded by this event.
        case recordEnd(ExecutionEnd)
    }

    public private(set) var status: Status
    /// How often the machinery beneath it failed, not counting what was given back.
    public private(set) var failures: Int
    public let times: ExecutionTimes
    public let retry: RetryPolicy
    public let timeoutMs: Int64?

    public init(
        status: Status,
        failures: Int = 0,
        times: ExecutionTimes = .init(),
        retry: RetryPolicy = .never,
        timeoutMs: Int64? = nil
    ) {
        self.status = status
        self.failures = failures
        self.times = times
        self.retry = retry
        self.timeoutMs = timeoutMs
    }

    public static func created(at: Timestamp, times: ExecutionTimes, retry: RetryPolicy, timeoutMs: Int64?) -> Self {
        Self(
            status: .queued(since: at, attempts: 0, notBefore: nil, deadlineAt: at + times.queued),
            times: times,
            retry: retry,
            timeoutMs: timeoutMs
        )
    }

    public var state: ExecutionState {
        switch status {
        case .queued: .queued
        case .assigned: .assigned
        case .running: .running
        case .ended(let end): end.state
        }
    }

    public var claim: AttemptClaim? {
        switch status {
        case .assigned(let claim, _, _), .running(let claim, _, _, _): claim
        case .queued, .ended: nil
        }
    }

    public var cancelRequest: CancelRequest? {
        switch status {
        case .assigned(_, let cancel, _), .running(_, _, let cancel, _): cancel
        case .queued, .ended: nil
        }
    }

    public var deadlineAt: Timestamp? {
        switch status {
        case .queued(_, _, _, let deadlineAt), .assigned(_, _, let deadlineAt): deadlineAt
        case .running(_, _, _, let deadlineAt): deadlineAt
        case .ended: nil
        }
    }

    /// When the next attempt may begin, after a failure.
    public var notBefore: Timestamp? {
        if case .queued(_, _, let notBefore, _) = status { notBefore } else { nil }
    }

    /// Whether it was given up after as many failures as are allowed; a person decides what becomes of it.
    public var isDeadLetter: Bool { state == .failed && failures >= times.maximumFailures }
}

// Events.
extension ExecutionMachine {
    /// The dispatcher found a worker. `claim.attempt` must be the next one.
    public mutating func assign(_ claim: AttemptClaim) throws(BerthError) -> [Effect] {
        guard case .queued(_, let attempts, _, _) = status, notBefore.map({ $0 <= claim.assignedAt }) ?? true else {
            throw refused(ExecutionState.assigned)
        }
        guard claim.attempt == attempts + 1 else {
            throw .stale("attempt", held: claim.attempt, current: attempts + 1)
        }
        status = .assigned(claim, cancel: nil, deadlineAt: claim.assignedAt + times.preparation)
        return []
    }

    /// The worker says that the process exists. Heard twice it changes nothing.
    public mutating func start(attempt: Int, at: Timestamp) throws(BerthError) -> [Effect] {
        switch status {
        case .assigned(let claim, let cancel, let deadlineAt):
            try fence(attempt, claim)
            let limit = timeoutMs.map { at + .milliseconds($0) + times.timeoutGrace }
            status = .running(claim, startedAt: at, cancel: cancel, deadlineAt: cancel == nil ? limit : deadlineAt)
            return []
        case .running(let claim, _, _, _):
            try fence(attempt, claim)
            return []
        case .queued(_, let attempts, _, _): throw .stale("attempt", held: attempt, current: attempts + 1)
        case .ended: throw refused(ExecutionState.running)
        }
    }

    /// The worker never began this attempt and has said so: it goes back to the queue, whatever the retry policy.
    public mutating func giveBack(attempt: Int, at: Timestamp) throws(BerthError) -> [Effect] {
        guard case .assigned(let claim, let cancel, _) = status else { throw refused(ExecutionState.queued) }
        try fence(attempt, claim)
        if let cancel { return finish(cancelled(cancel, claim, exitCode: nil, at: at)) }
        return requeue(claim, nil, notBefore: nil, at: at)
    }

    /// The worker's word on how the attempt ended. A cancel that was accepted before wins over it. What the machinery
    /// spoilt is tried again: always when the worker says that no process was started, else by its policy. Heard again
    /// after the end was recorded, the worker is told to forget it.
    public mutating func report(attempt: Int, _ report: ExecutionReport, at: Timestamp) throws(BerthError) -> [Effect] {
        switch status {
        case .assigned(let claim, let cancel, _), .running(let claim, _, let cancel, _):
            try fence(attempt, claim)
            var end = ExecutionEnd(
                outcome: report.outcome,
                attempt: attempt,
                exitCode: report.exitCode,
                failure: report.failure,
                endedAt: at
            )
            if let cancel { end = cancelled(cancel, claim, exitCode: report.exitCode, at: at) }
            if end.outcome == .failed, end.failure == nil {
                end.failure = FailureReason(.agentFailed, Self.words(report))
            }
            guard end.outcome == .failed, let reason = end.failure, reason.isInfrastructure else {
                return finish(end)
            }
            var neverStarted = report.hasStarted == false
            if case .running = status { neverStarted = false }
            return fail(claim, reason, mayRepeat: neverStarted || retry == .idempotent, at: at)
        case .queued(_, let attempts, _, _): throw .stale("attempt", held: attempt, current: attempts + 1)
        case .ended(let end):
            guard end.attempt == attempt else {
                throw .stale("attempt", held: attempt, current: end.attempt.map(String.init) ?? "none")
            }
            return []
        }
    }

    /// Somebody wants it to end. Wins unless it has ended; asked twice, the first request stands.
    public mutating func cancel(by: String, at: Timestamp) throws(BerthError) -> [Effect] {
        let request = CancelRequest(by: by, at: at)
        switch status {
        case .queued:
            return finish(ExecutionEnd(outcome: .cancelled, attempt: nil, cancelledBy: by, endedAt: at))
        case .assigned(let claim, nil, let deadlineAt):
            status = .assigned(claim, cancel: request, deadlineAt: min(deadlineAt, at + times.cancelGrace))
            return [.sendCancel(claim)]
        case .running(let claim, let startedAt, nil, _):
            status = .running(claim, startedAt: startedAt, cancel: request, deadlineAt: at + times.cancelGrace)
            return [.sendCancel(claim)]
        case .assigned(let claim, .some, _), .running(let claim, _, .some, _):
            return [.sendCancel(claim)]
        case .ended: throw refused(ExecutionState.cancelled)
        }
    }

    /// What ran it is gone: `reason` is `environmentLost` or `infrastructureLost`. Nobody knows how far it came, so that
    /// only its policy allows another attempt.
    /// - Parameter notBefore: until then the lost one may still run.
    public mutating func lose(
        attempt: Int,
        _ reason: FailureReason,
        notBefore: Timestamp? = nil,
        at: Timestamp
    ) throws(BerthError) -> [Effect] {
        switch status {
        case .assigned(let claim, let cancel, _), .running(let claim, _, let cancel, _):
            try fence(attempt, claim)
            if let cancel { return finish(unconfirmed(cancel, claim, at: at)) }
            return fail(claim, reason, mayRepeat: retry == .idempotent, notBefore: notBefore, at: at)
        case .queued(_, let attempts, _, _): throw .stale("attempt", held: attempt, current: attempts + 1)
        case .ended: throw refused(ExecutionState.failed)
        }
    }

    /// It can never be dispatched: its environment is gone or in error. An environment that its provider could not bring
    /// up, however often it tried, makes a dead letter of it.
    public mutating func refuse(_ reason: FailureReason, at: Timestamp) throws(BerthError) -> [Effect] {
        guard case .queued = status else { throw refused(ExecutionState.failed) }
        if reason.isInfrastructure, reason.code != .environmentLost {
            failures = max(failures + 1, times.maximumFailures)
        }
        return finish(ExecutionEnd(outcome: .failed, attempt: nil, failure: reason, endedAt: at))
    }

    /// The state's deadline action; nothing before the deadline.
    public mutating func expire(at: Timestamp) -> [Effect] {
        guard let deadlineAt, at >= deadlineAt else { return [] }
        switch status {
        case .queued:
            let reason = FailureReason(
                .unavailable,
                "no worker took it within \(times.queued)",
                remedy: "see why with 'berth env show'; start a worker or an environment and run it again"
            )
            return finish(ExecutionEnd(outcome: .failed, attempt: nil, failure: reason, endedAt: at))
        case .assigned(let claim, .some(let cancel), _), .running(let claim, _, .some(let cancel), _):
            return finish(unconfirmed(cancel, claim, at: at))
        case .assigned(let claim, nil, _):
            let reason = FailureReason(.infrastructureLost, "its worker did not start it within \(times.preparation)")
            let end = ExecutionEnd(outcome: .failed, attempt: claim.attempt, failure: reason, endedAt: at)
            return [.sendCancel(claim)] + finish(end)
        case .running(let claim, _, nil, _):
            let reason = FailureReason(.timedOut, "it ran longer than its limit of \(timeoutMs ?? 0) ms")
            let end = ExecutionEnd(outcome: .timedOut, attempt: claim.attempt, failure: reason, endedAt: at)
            return [.sendCancel(claim)] + finish(end)
        case .ended: return []
        }
    }

    private func fence(_ attempt: Int, _ claim: AttemptClaim) throws(BerthError) {
        guard attempt == claim.attempt else { throw .stale("attempt", held: attempt, current: claim.attempt) }
    }

    private func refused(_ wanted: ExecutionState) -> BerthError {
        .illegal("execution", from: state, to: wanted)
    }

    private func cancelled(_ request: CancelRequest, _ claim: AttemptClaim, exitCode: Int32?, at: Timestamp)
        -> ExecutionEnd
    {
        ExecutionEnd(
            outcome: .cancelled,
            attempt: claim.attempt,
            exitCode: exitCode,
            cancelledBy: request.by,
            endedAt: at
        )
    }

    /// Cancelled by the server's own word: nobody has said that the process is gone.
    private func unconfirmed(_ request: CancelRequest, _ claim: AttemptClaim, at: Timestamp) -> ExecutionEnd {
        var end = cancelled(request, claim, exitCode: nil, at: at)
        end.failure = FailureReason(
            .cancelled,
            "its worker has not confirmed that the process ended",
            remedy: "a worker that is cut off ends what it runs 75 s after it last heard the server"
        )
        return end
    }

    private mutating func fail(
        _ claim: AttemptClaim,
        _ reason: FailureReason,
        mayRepeat: Bool,
        notBefore: Timestamp? = nil,
        at: Timestamp
    ) -> [Effect] {
        failures += 1
        guard mayRepeat, failures < times.maximumFailures else {
            return finish(ExecutionEnd(outcome: .failed, attempt: claim.attempt, failure: reason, endedAt: at))
        }
        let next = at + times.backoff(after: failures)
        return requeue(claim, reason, notBefore: max(next, notBefore ?? next), at: at)
    }

    private mutating func requeue(
        _ claim: AttemptClaim,
        _ reason: FailureReason?,
        notBefore: Timestamp?,
        at: Timestamp
    ) -> [Effect] {
        let deadlineAt = (notBefore ?? at) + times.queued
        status = .queued(since: at, attempts: claim.attempt, notBefore: notBefore, deadlineAt: deadlineAt)
        return [.recordAttempt(claim, reason), .releaseSlot(claim), .sendForget(claim), .dispatch]
    }

    private mutating func finish(_ end: ExecutionEnd) -> [Effect] {
        let claim = claim
        status = .ended(end)
        guard let claim else { return [.recordEnd(end)] }
        return [.recordEnd(end), .releaseSlot(claim), .sendForget(claim)]
    }

    private static func words(_ report: ExecutionReport) -> String {
        if let signal = report.signal { return "it was ended by signal \(signal)" }
        if let exitCode = report.exitCode { return "it exited with status \(exitCode)" }
        return "its worker reported a failure without a reason"
    }
}
