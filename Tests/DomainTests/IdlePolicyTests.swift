import Base
import Domain
import Testing

@Suite struct IdlePolicyTests {
    private static let now = Timestamp(milliseconds: 1_700_000_000_000)
    private static let policy = IdlePolicy(autoStopMinutes: 30, idleStopMinutes: 60, canPause: true)

    private static func ago(_ minutes: Int) -> Timestamp {
        Timestamp(milliseconds: now.milliseconds - Int64(minutes) * 60_000)
    }

    private static func report(_ kind: UseKind, open: Int = 0, quietMinutes: Int? = nil) -> ActivityReport {
        ActivityReport(uses: [.init(kind, open: open, quietMs: quietMinutes.map { Int64($0) * 60_000 })])
    }

    private static let nothing = ActivityReport(uses: [])

    @Test func `unused for its own time it is paused, and for its tier's time stopped`() {
        let policy = Self.policy
        #expect(policy.verdict(Self.nothing, lastUse: Self.ago(29), at: Self.now) == .wait(until: Self.ago(-1)))
        #expect(policy.verdict(Self.nothing, lastUse: Self.ago(30), at: Self.now) == .rest(.pause, .autoStop))
        #expect(policy.verdict(Self.nothing, lastUse: Self.ago(60), at: Self.now) == .rest(.stop, .idleStop))
        #expect(policy.nextAction == .pause)
    }

    @Test func `where its provider cannot pause it is stopped instead`() {
        let policy = IdlePolicy(autoStopMinutes: 30, idleStopMinutes: nil, canPause: false)
        #expect(policy.verdict(Self.nothing, lastUse: Self.ago(30), at: Self.now) == .rest(.stop, .autoStop))
        #expect(policy.nextAction == .stop)
    }

    @Test func `a tier that never stops lets it pause all the same, and never is never`() {
        let never = IdlePolicy(autoStopMinutes: nil, idleStopMinutes: nil, canPause: true)
        #expect(never.verdict(Self.nothing, lastUse: Self.ago(99_999), at: Self.now) == .wait(until: nil))
        let pausing = IdlePolicy(autoStopMinutes: 5, idleStopMinutes: nil, canPause: true)
        #expect(pausing.verdict(Self.nothing, lastUse: Self.ago(99_999), at: Self.now) == .rest(.pause, .autoStop))
    }

    @Test(
        arguments: [
            (30, nil, 0, 30), (30, 5, 0, 5), (30, 5, 1, 30), (30, 60, 1, 60), (nil, 5, 0, nil), (nil, nil, 1, nil),
        ] as [(Int?, Int?, Int, Int?)]
    )
    func `the longest wish of its workspaces counts, and its own for those without`(
        own: Int?,
        wished: Int?,
        withoutWish: Int,
        expected: Int?
    ) {
        #expect(IdlePolicy.minutes(of: own, wished: wished, withoutWish: withoutWish) == expected)
    }

    @Test(arguments: [UseKind.agentTurn, .execution])
    func `what is in progress is never cut, however long it is silent`(_ kind: UseKind) {
        let report = Self.report(kind, open: 1, quietMinutes: 600)
        #expect(Self.policy.verdict(report, lastUse: Self.ago(600), at: Self.now) == .inUse)
        #expect(IdleEvidence.lastUse(of: report, at: Self.now) == Self.now)
    }

    @Test func `an open connection without traffic counts for its quiet period only`() {
        #expect(
            IdleEvidence.lastUse(of: Self.report(.connection, open: 1, quietMinutes: 2), at: Self.now) == Self.now
        )
        #expect(
            IdleEvidence.lastUse(of: Self.report(.connection, open: 1, quietMinutes: 40), at: Self.now)
                == Self.ago(35)
        )
        #expect(
            IdleEvidence.lastUse(of: Self.report(.connection, open: 0, quietMinutes: 40), at: Self.now)
                == Self.ago(40)
        )
        #expect(Self.policy.verdict(Self.report(.connection, open: 1), lastUse: Self.ago(30), at: Self.now) != .inUse)
    }

    @Test func `terminals and processes count at the moment they were seen`() {
        for kind in [UseKind.terminal, .process] {
            #expect(IdleEvidence.lastUse(of: Self.report(kind, open: 3, quietMinutes: 7), at: Self.now) == Self.ago(7))
            #expect(IdleEvidence.lastUse(of: Self.report(kind), at: Self.now) == nil)
        }
    }

    @Test func `a worker that sends nonsense moves no time beyond its own report`() {
        var use = ActivityReport.Use(.process, quietMs: .min)
        #expect(IdleEvidence.lastUse(of: ActivityReport(uses: [use]), at: Self.now) == Self.now)
        use.quietMs = .max
        #expect(IdleEvidence.lastUse(of: ActivityReport(uses: [use]), at: Self.now) == Timestamp(milliseconds: 0))
        use.kind = "telepathy"
        use.open = .max
        #expect(Self.policy.verdict(ActivityReport(uses: [use]), lastUse: Self.ago(30), at: Self.now) != .inUse)
    }
}
