public import Base

/// When an environment that nobody uses is put to rest. Pure: from what its worker reported to what is to be done.
public struct IdlePolicy: Sendable, Equatable {
    /// For how long an open connection without a byte counts as use.
    public static let quietPeriod: Duration = .seconds(300)
    /// Minutes of ``pauseAfter`` that may be asked for.
    public static let allowedMinutes = 5...480
    public static let defaultMinutes = 30

    /// Without use for this long it is paused; nil: never.
    public var pauseAfter: Duration?
    /// Without use for this long it is stopped; nil: never.
    public var stopAfter: Duration?
    /// Where its provider cannot pause, it is stopped instead.
    public var canPause: Bool

    public init(pauseAfter: Duration?, stopAfter: Duration?, canPause: Bool) {
        self.pauseAfter = pauseAfter
        self.stopAfter = stopAfter
        self.canPause = canPause
    }

    public init(autoStopMinutes: Int?, idleStopMinutes: Int?, canPause: Bool) {
        self.init(
            pauseAfter: autoStopMinutes.map { .seconds(60 * $0) },
            stopAfter: idleStopMinutes.map { .seconds(60 * $0) },
            canPause: canPause
        )
    }

    /// - Parameters:
    ///   - own: the environment's; nil: never, whatever its workspaces wish.
    ///   - wished: the longest that one of its workspaces wishes.
    ///   - withoutWish: how many of them leave it to the environment.
    public static func minutes(of own: Int?, wished: Int?, withoutWish: Int) -> Int? {
        guard let own, let wished else { return own }
        return withoutWish > 0 ? max(own, wished) : wished
    }

    /// What comes first for one that runs.
    public var nextAction: IdleEvidence.Action {
        guard let pauseAfter, canPause else { return .stop }
        return stopAfter.map { $0 <= pauseAfter } == true ? .stop : .pause
    }

    public enum Verdict: Sendable, Equatable {
        /// Something is in progress that is never cut.
        case inUse
        /// Nothing is due before this; nil: nothing ever is.
        case wait(until: Timestamp?)
        case rest(IdleEvidence.Action, IdleEvidence.Rule)
    }

    /// For one that runs.
    /// - Parameter lastUse: the latest of what ``IdleEvidence/lastUse(of:at:)`` says and what is known otherwise.
    public func verdict(_ report: ActivityReport, lastUse: Timestamp, at now: Timestamp) -> Verdict {
        if report.uses.contains(where: { $0.holds }) { return .inUse }
        if let stopAfter, now >= lastUse + stopAfter { return .rest(.stop, .idleStop) }
        if let pauseAfter, now >= lastUse + pauseAfter { return .rest(canPause ? .pause : .stop, .autoStop) }
        let due = [pauseAfter, stopAfter].compactMap { $0 }.min().map { lastUse + $0 }
        return .wait(until: due)
    }
}

/// Why an environment was put to rest, recorded with every automatic pause or stop.
public struct IdleEvidence: Sendable, Codable, Equatable {
    public enum Action: String, Sendable, Codable { case pause, stop }

    public enum Rule: String, Sendable, Codable {
        /// Its own `autoStopMinutes`.
        case autoStop
        /// The idle time of its owner's tier.
        case idleStop
    }

    public struct Use: Sendable, Codable, Equatable {
        public var kind: String
        public var open: Int
        /// nil: not since its worker began.
        public var lastAt: Timestamp?
    }

    public var action: Action
    public var rule: Rule
    public var idleMinutes: Int64
    public var lastUseAt: Timestamp
    public var decidedAt: Timestamp
    /// Empty for one that was paused already.
    public var uses: [Use]

    public init(
        _ action: Action,
        _ rule: Rule,
        lastUseAt: Timestamp,
        decidedAt: Timestamp,
        uses: [Use]
    ) {
        self.action = action
        self.rule = rule
        self.lastUseAt = lastUseAt
        self.decidedAt = decidedAt
        self.uses = uses
        idleMinutes = (decidedAt - lastUseAt).wholeMilliseconds / 60_000
    }

    /// The uses of a report that came at `moment`, each with its time.
    public static func uses(of report: ActivityReport, at moment: Timestamp) -> [Use] {
        report.uses.map { use in
            Use(kind: use.kind, open: use.open, lastAt: use.lastSeen(at: moment))
        }
    }

    /// The latest use in a report that came at `moment`; nil where there is none.
    public static func lastUse(of report: ActivityReport, at moment: Timestamp) -> Timestamp? {
        report.uses.compactMap { use in
            if use.holds { return moment }
            guard let seen = use.lastSeen(at: moment) else { return nil }
            guard use.open > 0, use.kind == UseKind.connection.rawValue else { return seen }
            return min(moment, seen + IdlePolicy.quietPeriod)
        }
        .max()
    }

    /// For people, in one line.
    public var summary: String {
        let limit = rule == .autoStop ? "autoStopMinutes" : "the tier's idle time"
        return "nobody used it for \(idleMinutes) minutes (\(limit)); \(action == .pause ? "paused" : "stopped")"
    }
}

extension ActivityReport.Use {
    fileprivate var holds: Bool { open > 0 && UseKind(rawValue: kind)?.holdsWhileOpen == true }

    fileprivate func lastSeen(at moment: Timestamp) -> Timestamp? {
        quietMs.map { Timestamp(milliseconds: moment.milliseconds - max(0, min($0, moment.milliseconds))) }
    }
}
