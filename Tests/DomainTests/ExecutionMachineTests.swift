import Base
import Domain
import Testing

@Suite struct ExecutionMachineTests {
    static let ids = IDSource(time: SystemTime(), randomness: SeededRandomness(seed: 7))
    static let worker: WorkerID = ids.make()
    static let start = Timestamp(milliseconds: 1_000_000)
    static let lost = FailureReason(.infrastructureLost, "gone")
    static let times = ExecutionTimes()

    static func claim(_ attempt: Int, at: Timestamp = start) -> AttemptClaim {
        AttemptClaim(attempt: attempt, workerID: worker, instance: 3, assignedAt: at)
    }

    static func created(retry: RetryPolicy = .never, timeoutMs: Int64? = 60_000) -> ExecutionMachine {
        .created(at: start, times: times, retry: retry, timeoutMs: timeoutMs)
    }

    static func report(_ outcome: ExecutionReport.Outcome) -> ExecutionReport {
        ExecutionReport(outcome: outcome, exitCode: outcome == .completed ? 0 : 1, durationMs: 5)
    }

    /// Every state, with and without a cancel that was asked for.
    enum Situation: String, CaseIterable {
        case queued, assigned, assignedCancelling, running, runningCancelling, completed, failed, cancelled, timedOut

        var machine: ExecutionMachine {
            get throws {
                var machine = ExecutionMachineTests.created()
                if self == .queued { return machine }
                _ = try machine.assign(ExecutionMachineTests.claim(1))
                switch self {
                case .queued, .assigned: break
                case .assignedCancelling: _ = try machine.cancel(by: "user", at: start)
                case .running: _ = try machine.start(attempt: 1, at: start)
                case .runningCancelling:
                    _ = try machine.start(attempt: 1, at: start)
                    _ = try machine.cancel(by: "user", at: start)
                case .completed: _ = try machine.report(attempt: 1, report(.completed), at: start)
                case .failed: _ = try machine.report(attempt: 1, report(.failed), at: start)
                case .cancelled: _ = try machine.report(attempt: 1, report(.cancelled), at: start)
                case .timedOut: _ = try machine.report(attempt: 1, report(.timedOut), at: start)
                }
                return machine
            }
        }
    }

    enum Event: String, CaseIterable {
        case assign, start, giveBack, report, cancel, lose, refuse, staleStart, staleReport, staleLose, expire
    }

    static func apply(_ event: Event, to machine: inout ExecutionMachine) throws {
        switch event {
        case .assign: _ = try machine.assign(claim(1))
        case .start: _ = try machine.start(attempt: 1, at: start)
        case .giveBack: _ = try machine.giveBack(attempt: 1, at: start)
        case .report: _ = try machine.report(attempt: 1, report(.completed), at: start)
        case .cancel: _ = try machine.cancel(by: "second", at: start)
        case .lose: _ = try machine.lose(attempt: 1, lost, at: start)
        case .refuse: _ = try machine.refuse(lost, at: start)
        case .staleStart: _ = try machine.start(attempt: 9, at: start)
        case .staleReport: _ = try machine.report(attempt: 9, report(.completed), at: start)
        case .staleLose: _ = try machine.lose(attempt: 9, lost, at: start)
        case .expire: _ = machine.expire(at: start + .seconds(10 * 24 * 3600))
        }
    }

    /// The state after each event, or the code of the refusal.
    static func expected(_ situation: Situation, _ event: Event) -> String {
        let isEnded = [.completed, .failed, .cancelled, .timedOut].contains(situation)
        switch (situation, event) {
        case (.queued, .assign): return "assigned"
        case (.queued, .cancel): return "cancelled"
        case (.queued, .refuse), (.queued, .expire): return "failed"
        case (.queued, .giveBack): return "illegal_transition"
        case (.queued, _): return "stale"
        case (_, .assign), (_, .refuse): return "illegal_transition"
        case (_, .staleStart) where isEnded, (_, .staleLose) where isEnded: return "illegal_transition"
        case (_, .staleStart), (_, .staleReport), (_, .staleLose): return "stale"
        case (_, .report) where isEnded, (_, .expire) where isEnded: return situation.rawValue
        case _ where isEnded: return "illegal_transition"
        case (.assigned, .start), (.assignedCancelling, .start), (.running, .start), (.running, .cancel),
            (.runningCancelling, .start), (.runningCancelling, .cancel):
            return "running"
        case (.assigned, .cancel), (.assignedCancelling, .cancel): return "assigned"
        case (.assigned, .giveBack): return "queued"
        case (.running, .giveBack), (.runningCancelling, .giveBack): return "illegal_transition"
        case (.assignedCancelling, _), (.runningCancelling, _): return "cancelled"
        case (_, .report): return "completed"
        case (.running, .expire): return "timedOut"
        default: return "failed"
        }
    }

    @Test(arguments: Situation.allCases, Event.allCases)
    func `every event in every state does what the table says`(_ situation: Situation, _ event: Event) throws {
        var machine = try situation.machine
        let before = machine
        var outcome: String
        do {
            try Self.apply(event, to: &machine)
            outcome = machine.state.rawValue
        } catch let error as BerthError {
            outcome = error.code.rawValue
            #expect(machine == before, "a refused event changes nothing")
            #expect(!error.message.isEmpty)
        }
        #expect(outcome == Self.expected(situation, event))
    }

    @Test func `a refusal names both states`() throws {
        var machine = try Situation.completed.machine
        let error = #expect(throws: BerthError.self) { try machine.cancel(by: "user", at: Self.start) }
        #expect(error?.message == "the execution is completed; it cannot become cancelled")
    }

    @Test func `a cancel that was accepted wins over the worker's later word`() throws {
        var machine = try Situation.runningCancelling.machine
        let effects = try machine.report(attempt: 1, Self.report(.completed), at: Self.start)
        guard case .ended(let end) = machine.status else { throw BerthError(.internal, "not ended") }
        #expect(end.outcome == .cancelled)
        #expect(end.cancelledBy == "user")
        #expect(end.exitCode == 0)
        #expect(effects == [.recordEnd(end), .releaseSlot(Self.claim(1)), .sendForget(Self.claim(1))])
    }

    @Test func `a lost run is repeated only by its policy, ever later, and not for ever`() throws {
        var machine = Self.created(retry: .idempotent)
        var now = Self.start
        for attempt in 1...3 {
            _ = try machine.assign(Self.claim(attempt, at: now))
            _ = try machine.start(attempt: attempt, at: now)
            let effects = try machine.lose(attempt: attempt, Self.lost, at: now)
            #expect(machine.failures == attempt)
            #expect(machine.isDeadLetter == (attempt == 3))
            guard attempt < 3 else { continue }
            #expect(effects.first == .recordAttempt(Self.claim(attempt, at: now), Self.lost))
            let next = now + .seconds(attempt == 1 ? 5 : 10)
            #expect(machine.notBefore == next)
            let early = Self.claim(attempt + 1, at: next + .milliseconds(-1))
            #expect(throws: BerthError.self, "not before its time") { try machine.assign(early) }
            now = next
        }
        #expect(machine.state == .failed)

        var once = try Situation.running.machine
        _ = try once.lose(attempt: 1, Self.lost, at: Self.start)
        #expect(once.state == .failed)
        #expect(!once.isDeadLetter, "its policy allowed no further attempt")
    }

    private static func spoilt(_ code: ErrorCode, hasStarted: Bool?) -> ExecutionReport {
        var report = report(.failed)
        report.failure = FailureReason(code, "spoilt")
        report.hasStarted = hasStarted
        return report
    }

    @Test func `what failed beneath it before its process was there is tried again, whatever its policy`() throws {
        var machine = try Situation.assigned.machine
        _ = try machine.report(attempt: 1, Self.spoilt(.network, hasStarted: false), at: Self.start)
        #expect(machine.state == .queued)
        #expect(machine.notBefore == Self.start + .seconds(5))
        // Cancelled while it waits.
        _ = try machine.cancel(by: "user", at: Self.start)
        #expect(machine.state == .cancelled)
    }

    @Test(arguments: [
        (Situation.assigned, ErrorCode.network, Bool?.none), (.assigned, .agentMissing, false),
        (.running, .infrastructureLost, false), (.running, .network, true),
    ])
    func `what may have run is not repeated by itself, nor is what would fail again`(
        _ situation: Situation,
        _ code: ErrorCode,
        _ hasStarted: Bool?
    ) throws {
        var machine = try situation.machine
        _ = try machine.report(attempt: 1, Self.spoilt(code, hasStarted: hasStarted), at: Self.start)
        #expect(machine.state == .failed)
        #expect(!machine.isDeadLetter)
    }

    @Test func `an attempt that was given back is no failure`() throws {
        var machine = Self.created()
        for attempt in 1...10 {
            _ = try machine.assign(Self.claim(attempt))
            let effects = try machine.giveBack(attempt: attempt, at: Self.start)
            #expect(effects.first == .recordAttempt(Self.claim(attempt), nil))
        }
        #expect(machine.failures == 0)
        #expect(machine.notBefore == nil)
    }

    @Test func `an environment that cannot be brought up makes a dead letter, one that is gone does not`() throws {
        var machine = Self.created()
        _ = try machine.refuse(FailureReason(.unavailable, "the provider is down"), at: Self.start)
        #expect(machine.isDeadLetter)
        for code in [ErrorCode.environmentLost, .imageUnavailable] {
            var other = Self.created()
            _ = try other.refuse(FailureReason(code, "no"), at: Self.start)
            #expect(other.state == .failed && !other.isDeadLetter)
        }
    }

    @Test(arguments: [Situation.assignedCancelling, .runningCancelling])
    func `a cancel that no worker confirmed says so`(_ situation: Situation) throws {
        for isLost in [true, false] {
            var machine = try situation.machine
            if isLost {
                _ = try machine.lose(attempt: 1, Self.lost, at: Self.start)
            } else {
                _ = machine.expire(at: Self.start + .seconds(15))
            }
            guard case .ended(let end) = machine.status else { throw BerthError(.internal, "not ended") }
            #expect(end.outcome == .cancelled)
            #expect(end.failure?.message == "its worker has not confirmed that the process ended")
        }
    }

    @Test func `the time limit gets its grace before the server acts`() throws {
        var machine = try Situation.running.machine
        #expect(machine.expire(at: Self.start + .seconds(89)) == [])
        #expect(machine.state == .running)
        #expect(machine.expire(at: Self.start + .seconds(90)).first == .sendCancel(Self.claim(1)))
        #expect(machine.state == .timedOut)
    }

    /// Whatever happens in whatever order: one end, attempts that only grow, and a deadline for all that waits.
    @Test func `a random walk keeps the invariants`() throws { try Walks.each(Self.walk) }

    private static func walk(_ seed: UInt64) throws {
        let randomness = SeededRandomness(seed: seed)
        var machine = Self.created(retry: seed.isMultiple(of: 2) ? .idempotent : .never)
        var now = Self.start
        var attempt = 0
        var ends = 0
        for _ in 0..<60 {
            now = now + .milliseconds(Int64(randomness.next() % 40_000))
            let before = machine
            let claimed = machine.claim?.attempt ?? attempt
            let chosen = Int(randomness.next() % 3) == 0 ? Int(randomness.next() % 5) : claimed
            var effects: [ExecutionMachine.Effect] = []
            do {
                switch randomness.next() % 7 {
                case 0: effects = try machine.assign(Self.claim(attempt + 1, at: now))
                case 1: effects = try machine.start(attempt: chosen, at: now)
                case 2: effects = try machine.giveBack(attempt: chosen, at: now)
                case 3 where randomness.next() % 4 == 0:
                    let report = [
                        Self.report(.failed), Self.spoilt(.network, hasStarted: false),
                        Self.spoilt(.infrastructureLost, hasStarted: true),
                    ][Int(randomness.next() % 3)]
                    effects = try machine.report(attempt: chosen, report, at: now)
                case 4 where randomness.next() % 6 == 0: effects = try machine.cancel(by: "user", at: now)
                case 5: effects = try machine.lose(attempt: chosen, Self.lost, at: now)
                default: effects = machine.expire(at: now)
                }
            } catch {
                try Walks.hold(machine == before, "a refused or late event changed \(before) to \(machine)")
            }
            if before.state.isTerminal {
                try Walks.hold(machine == before, "a refused or late event changed \(before) to \(machine)")
            }
            if let current = machine.claim?.attempt {
                try Walks.hold(current >= attempt, "attempt \(current) after \(attempt)")
                attempt = current
            }
            if case .queued(_, let used, _, _) = machine.status {
                try Walks.hold(used == attempt, "\(used) attempts used, not \(attempt)")
            }
            ends += effects.count { if case .recordEnd = $0 { true } else { false } }
            if !machine.state.isTerminal {
                try Walks.hold(machine.deadlineAt != nil, "\(machine.state) has no deadline")
            }
        }
        try Walks.hold(ends == (machine.state.isTerminal ? 1 : 0), "\(ends) ends in \(machine.state)")
    }
}
