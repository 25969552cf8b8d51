import Base
import Domain
import Testing

@Suite struct EnvironmentMachineTests {
    static let start = Timestamp(milliseconds: 1_000_000)

    static func machine(_ state: EnvironmentState, desired: DesiredState = .running) -> EnvironmentMachine {
        let deadlineAt = start + .seconds(60)
        let status: EnvironmentMachine.Status =
            switch state {
            case .requested: .requested(deadlineAt: deadlineAt)
            case .provisioning: .provisioning(deadlineAt: deadlineAt)
            case .starting: .starting(.start, deadlineAt: deadlineAt)
            case .running: .running
            case .pausing: .pausing(deadlineAt: deadlineAt)
            case .paused: .paused
            case .stopping: .stopping(deadlineAt: deadlineAt)
            case .stopped: .stopped
            case .destroying: .destroying(deadlineAt: deadlineAt)
            case .destroyed: .destroyed
            case .error: .error(EnvironmentCause(.start, .internal, "it broke"))
            }
        let isNew = [.requested, .provisioning, .destroyed].contains(state)
        return EnvironmentMachine(
            status: status,
            desired: [.destroying, .destroyed].contains(state) ? .destroyed : desired,
            instance: isNew ? 0 : 4,
            isProvisioned: !isNew
        )
    }

    enum Event: String, CaseIterable {
        case wantStopped, wantPaused, wantDestroyed, retry, provisioned, workerReady, resumed, paused, stopped,
            destroyed,
            expire, observeStopped, observeAbsent, staleReady

        func apply(to machine: inout EnvironmentMachine) throws {
            let number = machine.instance
            switch self {
            case .wantStopped:
                try machine.want(.stopped, at: start)
                _ = machine.begin(at: start)
            case .wantPaused:
                try machine.want(.paused, at: start)
                _ = machine.begin(at: start)
            case .wantDestroyed:
                try machine.want(.destroyed, at: start)
                _ = machine.begin(at: start)
            case .retry: try machine.retry(at: start)
            case .provisioned: try machine.provisioned(at: start)
            case .workerReady: _ = try machine.workerReady(instance: number)
            case .resumed: try machine.resumed(instance: number)
            case .paused: try machine.paused(instance: number)
            case .stopped: try machine.stopped(instance: number)
            case .destroyed: try machine.destroyed()
            case .expire: _ = machine.expire(at: start + .seconds(3600))
            case .observeStopped: _ = try machine.observe(.stopped, instance: number)
            case .observeAbsent: _ = try machine.observe(.absent, instance: number)
            case .staleReady: _ = try machine.workerReady(instance: number - 1)
            }
        }
    }

    static func expected(_ state: EnvironmentState, _ event: Event) -> String {
        let refused = "illegal_transition"
        let same = state.rawValue
        switch (event, state) {
        case (.staleReady, _): return "stale"
        case (.wantDestroyed, .destroyed): return "destroyed"
        case (.wantDestroyed, _): return "destroying"
        case (.wantStopped, .destroying), (.wantStopped, .destroyed): return refused
        case (.wantStopped, .requested): return "provisioning"
        case (.wantStopped, .running), (.wantStopped, .paused), (.wantStopped, .starting), (.wantStopped, .error):
            return "stopping"
        case (.wantStopped, _): return same
        case (.wantPaused, .running): return "pausing"
        case (.wantPaused, .starting), (.wantPaused, .pausing), (.wantPaused, .paused): return same
        case (.wantPaused, _): return refused
        case (.retry, .error): return "stopping"
        case (.retry, _): return refused
        case (.provisioned, .provisioning): return "starting"
        case (.workerReady, .starting): return "running"
        case (.workerReady, _): return same
        case (.paused, .pausing): return "paused"
        case (.stopped, .stopping): return "stopped"
        case (.destroyed, .destroying): return "destroyed"
        case (.provisioned, _), (.resumed, _), (.paused, _), (.stopped, _), (.destroyed, _): return refused
        case (.expire, _): return state.isTransitional ? "error" : same
        case (.observeStopped, .running), (.observeStopped, .paused): return "stopped"
        case (.observeStopped, .starting), (.observeAbsent, .starting): return "error"
        case (.observeAbsent, .running), (.observeAbsent, .paused), (.observeAbsent, .stopped): return "error"
        case (.observeStopped, _), (.observeAbsent, _): return same
        }
    }

    @Test(arguments: EnvironmentState.allCases, Event.allCases)
    func `every event in every state does what the table says`(_ state: EnvironmentState, _ event: Event) {
        var machine = Self.machine(state)
        let before = machine
        var outcome: String
        do {
            try event.apply(to: &machine)
            outcome = machine.state.rawValue
        } catch {
            outcome = BerthError(wrapping: error).code.rawValue
            #expect(machine == before, "a refused event changes nothing")
        }
        #expect(outcome == Self.expected(state, event))
    }

    @Test(arguments: EnvironmentState.allCases)
    func `anything can be destroyed from any state`(_ state: EnvironmentState) throws {
        var machine = Self.machine(state)
        try machine.want(.destroyed, at: Self.start)
        _ = machine.begin(at: Self.start)
        if machine.state == .destroying { try machine.destroyed() }
        #expect(machine.state == .destroyed)
    }

    @Test(arguments: EnvironmentOperation.allCases)
    func `a failed operation can be retried and leads to what it was for`(_ operation: EnvironmentOperation) throws {
        let desired: DesiredState =
            switch operation {
            case .provision, .start, .resume: .running
            case .pause: .paused
            case .stop: .stopped
            case .destroy: .destroyed
            }
        var machine = EnvironmentMachine(
            status: .error(EnvironmentCause(operation, .internal, "it broke")),
            desired: desired,
            instance: 2,
            isProvisioned: operation != .provision
        )
        try machine.retry(at: Self.start)
        #expect(machine.pending != nil)
        try Self.drive(&machine)
        #expect(machine.state.rawValue == desired.rawValue)
    }

    @Test func `each boot has a new number and the old one's word is stale`() throws {
        var machine = EnvironmentMachine.created(at: Self.start)
        try Self.drive(&machine)
        #expect(machine.instance == 1)
        try machine.want(.stopped, at: Self.start)
        try Self.drive(&machine)
        try machine.want(.running, at: Self.start)
        try Self.drive(&machine)
        #expect(machine.instance == 2)
        #expect(throws: BerthError.self) { try machine.workerReady(instance: 1) }
    }

    /// The provider and the worker answer as they should.
    static func drive(_ machine: inout EnvironmentMachine) throws {
        for _ in 0..<12 {
            _ = machine.begin(at: start)
            switch machine.pending {
            case .create: try machine.provisioned(at: start)
            case .start: _ = try machine.workerReady(instance: machine.instance)
            case .resume: try machine.resumed(instance: machine.instance)
            case .pause: try machine.paused(instance: machine.instance)
            case .stop: try machine.stopped(instance: machine.instance)
            case .destroy: try machine.destroyed()
            case nil: return
            }
        }
    }

    /// Whatever happens: numbers only grow, what is under way has a deadline, and what is wanted can still be reached.
    @Test func `a random walk keeps the invariants and never gets stuck`() throws { try Walks.each(Self.walk) }

    private static func walk(_ seed: UInt64) throws {
        let randomness = SeededRandomness(seed: seed)
        var machine = EnvironmentMachine.created(at: Self.start)
        var now = Self.start
        var instance: Int64 = 0
        for _ in 0..<80 {
            now = now + .milliseconds(Int64(randomness.next() % 20_000))
            let before = machine
            do {
                switch randomness.next() % 14 {
                case 0: try machine.want(.running, at: now)
                case 1: try machine.want(.stopped, at: now)
                case 2: try machine.want(.paused, at: now)
                case 3: try machine.retry(at: now)
                case 4: try machine.provisioned(at: now)
                case 5: _ = try machine.workerReady(instance: machine.instance)
                case 6: try machine.paused(instance: machine.instance)
                case 7: try machine.stopped(instance: machine.instance)
                case 8: try machine.resumed(instance: machine.instance)
                case 9:
                    let conditions = InstanceCondition.allCases
                    let seen = conditions[Int(randomness.next() % UInt64(conditions.count))]
                    _ = try machine.observe(seen, instance: machine.instance)
                case 10:
                    if let operation = machine.operation {
                        try machine.fail(EnvironmentCause(operation, .internal, "it broke"))
                    }
                case 11: _ = machine.expire(at: now)
                default: _ = machine.begin(at: now)
                }
            } catch {
                try Walks.hold(machine == before, "a refused or late event changed \(before) to \(machine)")
            }
            try Walks.hold(machine.instance >= instance, "instance \(machine.instance) after \(instance)")
            instance = machine.instance
            try Walks.hold(
                machine.state.isTransitional == (machine.deadlineAt != nil),
                "the deadline of \(machine.state)"
            )
        }
        if machine.state == .error { try machine.retry(at: now) }
        if machine.desired == .paused { try machine.want(.stopped, at: now) }
        try Self.drive(&machine)
        try Walks.hold(machine.state.rawValue == machine.desired.rawValue, "\(machine.state) for \(machine.desired)")
    }
}
