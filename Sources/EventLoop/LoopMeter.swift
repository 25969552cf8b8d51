internal import Base

/// How a loop is doing: written on the loop, read from any thread, also while the loop is stuck.
public final class LoopMeter: Sendable {
    /// Upper bounds of the lag's classes in milliseconds; one more class is above them all.
    public static let lagBounds: [UInt64] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000]
    /// How often a timer asks how late it is.
    public static let probeInterval = Duration.milliseconds(250)

    private enum Cell: Int, CaseIterable { case received, sent, queued, lagSum, expected, sockets }

    private let cells = Counters(Cell.allCases.count)
    private let lags = Counters(LoopMeter.lagBounds.count + 1)
    /// The greatest lag of each of the last periods, and the number of the period that it belongs to.
    private let maxima = Counters(LoopMeter.periods)
    private let periodNumbers = Counters(LoopMeter.periods)
    private static let periods = 6
    private static let periodNanoseconds: UInt64 = 10_000_000_000

    public struct Reading: Sendable {
        /// Bytes of all sockets.
        public var received: UInt64
        public var sent: UInt64
        /// Jobs that wait: those of the present round and those that came in from other threads.
        public var queued: UInt64
        /// How often the probe was late by up to each bound, then beyond them all; not cumulative.
        public var lags: [UInt64]
        /// Nanoseconds.
        public var lagSum: UInt64
        /// How late the probe is right now: more than zero for long while the loop is stuck.
        public var currentLag: Duration
        /// The longest lag of the last minute, the present one included.
        public var maximumLag: Duration
        /// Open ones.
        public var sockets: UInt64
    }

    fileprivate func read(at now: Uptime) -> Reading {
        let expected = self[.expected]
        let late = expected > 0 && now.nanoseconds > expected ? now.nanoseconds - expected : 0
        let period = now.nanoseconds / Self.periodNanoseconds
        var maximum = late
        for place in 0..<Self.periods where periodNumbers[place] + UInt64(Self.periods) > period {
            maximum = max(maximum, maxima[place])
        }
        return Reading(
            received: self[.received],
            sent: self[.sent],
            queued: self[.queued],
            lags: (0..<lags.count).map { lags[$0] },
            lagSum: self[.lagSum],
            currentLag: .nanoseconds(Int64(clamping: late)),
            maximumLag: .nanoseconds(Int64(clamping: maximum)),
            sockets: self[.sockets]
        )
    }

    private subscript(cell: Cell) -> UInt64 { cells[cell.rawValue] }

    // MARK: On the loop

    func received(_ bytes: Int) { cells.add(UInt64(bytes), at: Cell.received.rawValue) }
    func sent(_ bytes: Int) { cells.add(UInt64(bytes), at: Cell.sent.rawValue) }
    func queued(_ jobs: Int) { cells.set(UInt64(jobs), at: Cell.queued.rawValue) }
    func opened() { cells.add(1, at: Cell.sockets.rawValue) }
    func closed() { cells.add(UInt64.max, at: Cell.sockets.rawValue) }

    func probeExpected(at time: Uptime) { cells.set(time.nanoseconds, at: Cell.expected.rawValue) }

    func probeCame(_ lag: Duration, at now: Uptime) {
        let nanoseconds = UInt64(max(0, lag.wholeNanoseconds))
        let milliseconds = nanoseconds / 1_000_000
        lags.add(at: Self.lagBounds.firstIndex { milliseconds < $0 } ?? Self.lagBounds.count)
        cells.add(nanoseconds, at: Cell.lagSum.rawValue)
        let period = now.nanoseconds / Self.periodNanoseconds
        let place = Int(period % UInt64(Self.periods))
        if periodNumbers[place] != period {
            periodNumbers.set(period, at: place)
            maxima.set(0, at: place)
        }
        maxima.set(max(maxima[place], nanoseconds), at: place)
    }
}

extension EventLoop {
    /// What any thread may know of this loop at any time.
    public func load() -> LoopMeter.Reading {
        var reading = meter.read(at: time.uptime)
        reading.queued += UInt64(waitingFromOutside)
        return reading
    }

    /// Starts a timer whose lateness is how long everything else on this loop has to wait.
    public func measureLag() {
        execute { [self] in
            guard probe == nil else { return }
            let probe = LoopTimer(loop: self) { [unowned self] in
                let now = time.uptime
                if let probeDue { meter.probeCame(now - probeDue, at: now) }
                setProbe(after: now)
            }
            self.probe = probe
            setProbe(after: time.uptime)
        }
    }

    private func setProbe(after time: Uptime) {
        let due = time + LoopMeter.probeInterval
        probeDue = due
        meter.probeExpected(at: due)
        probe?.set(due)
    }
}
