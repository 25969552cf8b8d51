public import Base

/// The life of an execution. Pure: time and ids come in, effects go out. Drawn in `Docs/states.md`.
public struct ExecutionMachine: Sendable, Equatable {
    public enum Status: Sendable, Equatable {
        /// Waits for a worker. Owner: the dispatcher. Deadline: `queued`, then failed(unavailable).
        /// Exits: assign → assigned, cancel → cancelled, expire and refuse → failed.
        case queued(since: Timestamp, attempts: Int, deadlineAt: Timestamp)
        /// A worker has it and prepares. Owner: that worker. Deadline: `preparation`, then failed(infrastructureLost);
        /// after a cancel `cancelGrace`, then cancelled.
        /// Exits: start → running, report → its end, return → queued, lose → failed, queued or cancelled, expire.
        case assigned(AttemptClaim, cancel: CancelRequest?, deadlineAt: Timestamp)
        /// Its process exists. Owner: the worker, whose silence of 90 s is `lose`. Deadline: the run's time limit and
        /// `timeoutGrace`, then timedOut (nil without a time limit); after a cancel `cancelGrace`, then cancelled.
        /// Exits: report → its end, lose → failed, queued or cancelled, expire → timedOut or cancelled.
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
        /// The end was recorded by this event.
        case recordEnd(ExecutionEnd)
    }

    public private(set) var status: Status
    public let times: ExecutionTimes
    public let retry: RetryPolicy
    public let timeoutMs: Int64?

    public init(status: Status, times: ExecutionTimes = .init(), retry: RetryPolicy = .never, timeoutMs: Int64? = nil) {
        self.status = status
        self.times = times
        self.retry = retry
        self.timeoutMs = timeoutMs
    }

    public static func created(at: Timestamp, times: ExecutionTimes, retry: RetryPolicy, timeoutMs: Int64?) -> Self {
        Self(
            status: .queued(since: at, attempts: 0, deadlineAt: at + times.queued),
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
        case .queued(_, _, let deadlineAt), .assigned(_, _, let deadlineAt): deadlineAt
        case .running(_, _, _, let deadlineAt): deadlineAt
        case .ended: nil
        }
    }
}

// Events.
extension ExecutionMachine {
    /// The dispatcher found a worker. `claim.attempt` must be the next one.
    public mutating func assign(_ claim: AttemptClaim) throws(BerthError) -> [Effect] {
        guard case .queued(_, let attempts, _) = status else { throw refused(ExecutionState.assigned) }
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
        case .queued(_, let attempts, _): throw .stale("attempt", held: attempt, current: attempts + 1)
        case .ended: throw refused(ExecutionState.running)
        }
    }

    /// The worker never began this attempt and has said so: it goes back to the queue, whatever the retry policy.
    public mutating func giveBack(attempt: Int, at: Timestamp) throws(BerthError) -> [Effect] {
        guard case .assigned(let claim, let cancel, _) = status else { throw refused(ExecutionState.queued) }
        try fence(attempt, claim)
        if let cancel { return finish(cancelled(cancel, claim, exitCode: nil, at: at)) }
        return requeue(claim, at: at)
    }

    /// The worker's word on how the attempt ended. A cancel that was accepted before wins over it. Heard again after the
    /// end was recorded, the worker is told to forget it.
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
            return finish(end)
        case .queued(_, let attempts, _): throw .stale("attempt", held: attempt, current: attempts + 1)
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

    /// What ran it is gone: `reason` is `environmentLost` or `infrastructureLost`.
    public mutating func lose(attempt: Int, _ reason: FailureReason, at: Timestamp) throws(BerthError) -> [Effect] {
        switch status {
        case .assigned(let claim, let cancel, _), .running(let claim, _, let cancel, _):
            try fence(attempt, claim)
            if let cancel { return finish(cancelled(cancel, claim, exitCode: nil, at: at)) }
            if retry == .idempotent, attempt < times.maximumAttempts { return requeue(claim, at: at) }
            return finish(ExecutionEnd(outcome: .failed, attempt: attempt, failure: reason, endedAt: at))
        case .queued(_, let attempts, _): throw .stale("attempt", held: attempt, current: attempts + 1)
        case .ended: throw refused(ExecutionState.failed)
        }
    }

    /// It can never be dispatched: its environment is gone or in error.
    public mutating func refuse(_ reason: FailureReason, at: Timestamp) throws(BerthError) -> [Effect] {
        guard case .queued = status else { throw refused(ExecutionState.failed) }
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
            return finish(cancelled(cancel, claim, exitCode: nil, at: at))
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

    private mutating func requeue(_ claim: AttemptClaim, at: Timestamp) -> [Effect] {
        status = .queued(since: at, attempts: claim.attempt, deadlineAt: at + times.queued)
        return [.releaseSlot(claim), .sendForget(claim), .dispatch]
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
