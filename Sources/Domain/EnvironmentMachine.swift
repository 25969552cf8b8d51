public import Base

/// The life of an environment: what is wanted and what is, apart. Pure; drawn in `Docs/states.md`.
///
/// Every event that tells of an instance carries its number; one of an earlier instance is `stale`.
public struct EnvironmentMachine: Sendable, Equatable {
    public enum Status: Sendable, Equatable {
        /// Its row exists, nothing else. Owner: its job, in the queue. Deadline: `requested`. Exits: begin → provisioning.
        case requested(deadlineAt: Timestamp)
        /// The provider lays its files. Owner: the job that called `create`. Deadline: `provisioning`.
        /// Exits: provisioned → starting, or stopped where no run is wanted.
        case provisioning(deadlineAt: Timestamp)
        /// An instance boots or thaws. Owner: the job until the provider answers, then the worker that is to report.
        /// Deadline: `starting`. Exits: workerReady → running, observe(stopped, absent) → stopped.
        case starting(EnvironmentOperation, deadlineAt: Timestamp)
        /// Its worker is ready. Owner: the reconciler's inspection. No deadline: a resting state.
        /// Exits: begin → pausing or stopping, observe → stopped or paused, startOver and goBack → stopping.
        case running
        /// Owner: the job that called `pause`. Deadline: `pausing`. Exits: paused → paused, notPaused → running.
        case pausing(deadlineAt: Timestamp)
        /// A resting state. Exits: begin → starting or stopping, observe → stopped or running.
        case paused
        /// Owner: the job that called `stop`. Deadline: `stopping`. Exits: stopped → stopped.
        case stopping(deadlineAt: Timestamp)
        /// Files are kept, nothing runs. A resting state. Exits: begin → starting.
        case stopped
        /// Owner: the job that called `destroy`. Deadline: `destroying`. Exits: destroyed → destroyed.
        case destroying(deadlineAt: Timestamp)
        /// Nothing is left. No exits.
        case destroyed
        /// An operation failed. Owner: the person who may retry. A resting state.
        /// Exits: retry → the operation's first state; a new wish → that wish's first state.
        case error(EnvironmentCause)
        // From every state but destroying and destroyed: begin with the wish `destroyed` → destroying.
        // From every state with a deadline: fail and expire → error.
    }

    /// What the job is to do with the provider after an event was written.
    public enum Effect: Sendable, Equatable {
        case create, start, resume, pause, stop, destroy

        public var operation: EnvironmentOperation {
            switch self {
            case .create: .provision
            case .start: .start
            case .resume: .resume
            case .pause: .pause
            case .stop: .stop
            case .destroy: .destroy
            }
        }
    }

    public private(set) var status: Status
    public private(set) var desired: DesiredState
    /// Incarnation number: 0 before the first boot, then one more at each.
    public private(set) var instance: Int64
    /// Whether the provider has laid its files.
    public private(set) var isProvisioned: Bool
    public let times: EnvironmentTimes

    public init(
        status: Status,
        desired: DesiredState,
        instance: Int64,
        isProvisioned: Bool,
        times: EnvironmentTimes = .init()
    ) {
        self.status = status
        self.desired = desired
        self.instance = instance
        self.isProvisioned = isProvisioned
        self.times = times
    }

    public static func created(desired: DesiredState = .running, at: Timestamp, times: EnvironmentTimes = .init())
        -> Self
    {
        Self(
            status: .requested(deadlineAt: at + times.requested),
            desired: desired,
            instance: 0,
            isProvisioned: false,
            times: times
        )
    }

    public var state: EnvironmentState {
        switch status {
        case .requested: .requested
        case .provisioning: .provisioning
        case .starting: .starting
        case .running: .running
        case .pausing: .pausing
        case .paused: .paused
        case .stopping: .stopping
        case .stopped: .stopped
        case .destroying: .destroying
        case .destroyed: .destroyed
        case .error: .error
        }
    }

    public var deadlineAt: Timestamp? {
        switch status {
        case .requested(let at), .provisioning(let at), .starting(_, let at), .pausing(let at), .stopping(let at),
            .destroying(let at):
            at
        case .running, .paused, .stopped, .destroyed, .error: nil
        }
    }

    public var cause: EnvironmentCause? { if case .error(let cause) = status { cause } else { nil } }

    /// The operation that is under way.
    public var operation: EnvironmentOperation? {
        switch status {
        case .requested, .provisioning: .provision
        case .starting(let operation, _): operation
        case .pausing: .pause
        case .stopping: .stop
        case .destroying: .destroy
        case .running, .paused, .stopped, .destroyed, .error: nil
        }
    }

    /// What may be asked of it now, as the API's verbs.
    public var allowed: [String] {
        switch status {
        case .destroying, .destroyed: []
        case .error: ["retry", "start", "stop", "destroy"]
        case .running, .starting: ["pause", "stop", "destroy"]
        case .paused, .pausing: ["resume", "stop", "destroy"]
        case .stopped, .stopping: ["start", "destroy"]
        case .requested, .provisioning: ["stop", "destroy"]
        }
    }
}

// Wishes of people and of the control plane.
extension EnvironmentMachine {
    /// Takes up a wish; `begin` closes the gap. A wish that holds already changes nothing.
    public mutating func want(_ wish: DesiredState, at: Timestamp) throws(BerthError) {
        if desired == .destroyed, wish != .destroyed {
            throw .illegal("environment", from: state, to: wish, remedy: "create another environment")
        }
        if wish == .paused {
            switch status {
            case .running, .starting, .pausing, .paused: break
            case .requested, .provisioning, .stopping, .stopped, .destroying, .destroyed, .error:
                throw .illegal("environment", from: state, to: wish, remedy: "only a running environment pauses")
            }
        }
        desired = wish
        if case .error(let cause) = status { leaveError(cause.operation, at: at) }
    }

    /// Wanted running out of a snapshot: what runs goes down first, and the next boot goes on where that was made.
    public mutating func goBack(at: Timestamp) throws(BerthError) {
        guard desired != .destroyed, isProvisioned else {
            throw .illegal("environment", from: state, to: "gone back", remedy: "fork the snapshot instead")
        }
        switch status {
        case .stopped: break
        case .running, .paused, .error: status = .stopping(deadlineAt: at + times.stopping)
        case .requested, .provisioning, .starting, .pausing, .stopping, .destroying, .destroyed:
            throw .illegal("environment", from: state, to: "gone back", remedy: "wait until it rests, then try again")
        }
        desired = .running
    }

    /// Takes up the operation that failed.
    public mutating func retry(at: Timestamp) throws(BerthError) {
        guard case .error(let cause) = status else {
            throw .illegal("environment", from: state, to: "retried", remedy: "only one in error can be retried")
        }
        if desired != .destroyed {
            switch cause.operation {
            case .provision, .start, .resume: desired = .running
            case .pause: desired = .paused
            case .stop: desired = .stopped
            case .destroy: desired = .destroyed
            }
        }
        leaveError(cause.operation, at: at)
    }

    private mutating func leaveError(_ operation: EnvironmentOperation, at: Timestamp) {
        if desired == .destroyed {
            status = .destroying(deadlineAt: at + times.destroying)
        } else if !isProvisioned {
            status = .provisioning(deadlineAt: at + times.provisioning)
        } else if desired == .stopped {
            status = .stopping(deadlineAt: at + times.stopping)
        } else {
            switch operation {
            // What is half up goes down first; the next boot has a new number.
            case .provision, .start, .stop, .destroy: status = .stopping(deadlineAt: at + times.stopping)
            // Resuming an instance that runs does nothing.
            case .resume: status = .starting(.resume, deadlineAt: at + times.starting)
            case .pause where desired == .paused: status = .pausing(deadlineAt: at + times.pausing)
            case .pause: status = .starting(.resume, deadlineAt: at + times.starting)
            }
        }
    }
}

// Events of the reconciler, the provider and the worker.
extension EnvironmentMachine {
    /// The provider call that the present state stands for. Taken up again after a restart: providers' calls are
    /// idempotent by instance.
    public var pending: Effect? {
        switch status {
        case .provisioning: .create
        case .starting(.resume, _): .resume
        case .starting: .start
        case .pausing: .pause
        case .stopping: .stop
        case .destroying: .destroy
        case .requested, .running, .paused, .stopped, .destroyed, .error: nil
        }
    }

    /// What has to be done with the provider next: what is under way, or what would be begun.
    public func next(at now: Timestamp) -> EnvironmentOperation? {
        var copy = self
        _ = copy.begin(at: now)
        return copy.pending?.operation
    }

    /// The operation for which somebody has to look at it. A boot that is under way has somebody; after it comes the word
    /// of its worker, or the deadline.
    public func demand(at now: Timestamp) -> EnvironmentOperation? {
        let next = next(at: now)
        if case .starting(.start, _) = status, next == .start { return nil }
        return next
    }

    /// Somebody begins to look at it: what is under way has its whole time from now on.
    public mutating func takeUp(at now: Timestamp) { restart(at: now) }

    /// The call that is under way failed and will be made again.
    public mutating func awaitNextTry(at next: Timestamp) { restart(at: next) }

    private mutating func restart(at: Timestamp) {
        switch status {
        case .requested: status = .requested(deadlineAt: at + times.requested)
        case .provisioning: status = .provisioning(deadlineAt: at + times.provisioning)
        case .starting(let operation, _): status = .starting(operation, deadlineAt: at + times.starting)
        case .pausing: status = .pausing(deadlineAt: at + times.pausing)
        case .stopping: status = .stopping(deadlineAt: at + times.stopping)
        case .destroying: status = .destroying(deadlineAt: at + times.destroying)
        case .running, .paused, .stopped, .destroyed, .error: break
        }
    }

    /// One step towards what is wanted; nil when nothing is to be begun.
    public mutating func begin(at: Timestamp) -> Effect? {
        switch (status, desired) {
        case (.destroying, _), (.destroyed, _): return nil
        case (_, .destroyed): status = .destroying(deadlineAt: at + times.destroying)
        case (.requested, _): status = .provisioning(deadlineAt: at + times.provisioning)
        case (.starting, .stopped), (.running, .stopped), (.paused, .stopped):
            status = .stopping(deadlineAt: at + times.stopping)
        case (.running, .paused): status = .pausing(deadlineAt: at + times.pausing)
        case (.paused, .running): status = .starting(.resume, deadlineAt: at + times.starting)
        case (.stopped, .running): boot(at: at)
        default: return nil
        }
        return pending
    }

    /// The provider has laid its files; a wanted run goes on at once.
    public mutating func provisioned(at: Timestamp) throws(BerthError) {
        guard case .provisioning = status else { throw refused(.provisioning) }
        isProvisioned = true
        if desired == .running { boot(at: at) } else { status = .stopped }
    }

    /// The worker of this instance can take work. Returns whether that changed the state.
    public mutating func workerReady(instance number: Int64) throws(BerthError) -> Bool {
        try fence(number)
        guard case .starting = status else { return false }
        status = .running
        return true
    }

    public mutating func resumed(instance number: Int64) throws(BerthError) {
        try fence(number)
        guard case .starting(.resume, _) = status else { throw refused(.running) }
        status = .running
    }

    public mutating func paused(instance number: Int64) throws(BerthError) {
        try fence(number)
        guard case .pausing = status else { throw refused(.paused) }
        status = .paused
    }

    /// Work came to it before it was paused: it goes on.
    public mutating func notPaused(instance number: Int64) throws(BerthError) {
        try fence(number)
        guard case .pausing = status else { throw refused(.running) }
        status = .running
        if desired == .paused { desired = .running }
    }

    public mutating func stopped(instance number: Int64) throws(BerthError) {
        try fence(number)
        guard case .stopping = status else { throw refused(.stopped) }
        status = .stopped
    }

    public mutating func destroyed() throws(BerthError) {
        guard case .destroying = status else { throw refused(.destroyed) }
        status = .destroyed
        isProvisioned = false
    }

    /// The provider refused or broke the operation that is under way.
    public mutating func fail(_ cause: EnvironmentCause) throws(BerthError) {
        guard operation == cause.operation else { throw refused(.error) }
        status = .error(cause)
    }

    /// The deadline's action; nothing before the deadline. Returns whether the state changed.
    public mutating func expire(at: Timestamp) -> Bool {
        guard let deadlineAt, at >= deadlineAt, let operation else { return false }
        status = .error(
            EnvironmentCause(
                operation,
                .timedOut,
                "\(state) took too long and was given up",
                remedy: "see the server's log, then 'berth env retry'"
            )
        )
        return true
    }

    /// What the provider's own list says. Only resting states believe it, and `starting`, whose instance may have died.
    /// Returns whether the state changed.
    public mutating func observe(_ condition: InstanceCondition, instance number: Int64, words: String? = nil)
        throws(BerthError) -> Bool
    {
        try fence(number)
        switch (status, condition) {
        case (.running, .paused): status = .paused
        case (.paused, .running): status = .running
        case (.running, .stopped), (.paused, .stopped):
            status = .stopped
            // Not booted again by itself: after a reboot of the host it stays down until somebody needs it.
            if desired != .destroyed { desired = .stopped }
        case (.stopped, .running), (.stopped, .paused):
            status = .running
        case (.running, .absent), (.paused, .absent), (.stopped, .absent):
            isProvisioned = false
            status = .error(
                EnvironmentCause(
                    .provision,
                    .environmentLost,
                    "the provider no longer knows it; its files are gone",
                    remedy: "'berth env retry' makes it anew, empty"
                )
            )
        case (.starting(.start, _), .stopped), (.starting(.start, _), .absent):
            if condition == .absent { isProvisioned = false }
            status = .error(
                EnvironmentCause(
                    .start,
                    .environmentLost,
                    "its instance ended before its worker was ready" + (words.map { ": \($0)" } ?? ""),
                    providerWords: words,
                    remedy: "see the environment's log, then 'berth env retry'"
                )
            )
        default: return false
        }
        return true
    }

    /// Its worker stays away although its instance runs: down and up again, with a new number.
    public mutating func startOver(instance number: Int64, at: Timestamp) throws(BerthError) {
        try fence(number)
        guard case .running = status, desired == .running else { throw refused(.stopping) }
        status = .stopping(deadlineAt: at + times.stopping)
    }

    private mutating func boot(at: Timestamp) {
        instance += 1
        status = .starting(.start, deadlineAt: at + times.starting)
    }

    private func fence(_ number: Int64) throws(BerthError) {
        guard number == instance else { throw .stale("instance", held: number, current: instance) }
    }

    private func refused(_ wanted: EnvironmentState) -> BerthError {
        .illegal("environment", from: state, to: wanted)
    }
}
