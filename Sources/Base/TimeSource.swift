import Glibc

/// A moment of wall-clock time: milliseconds since 1970-01-01 UTC. Text and JSON form: `2026-11-20T03:14:39.123Z`.
public struct Timestamp: Hashable, Comparable, Sendable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    public static func < (left: Self, right: Self) -> Bool { left.milliseconds < right.milliseconds }
    public static func + (left: Self, right: Duration) -> Self {
        Self(milliseconds: left.milliseconds + right.wholeMilliseconds)
    }
    public static func - (left: Self, right: Self) -> Duration {
        .milliseconds(left.milliseconds - right.milliseconds)
    }
}

/// Time since boot, sleep included (CLOCK_BOOTTIME): for deadlines and durations, never shown to people.
public struct Uptime: Hashable, Comparable, Sendable {
    public var nanoseconds: UInt64

    public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
    public static func + (left: Self, right: Duration) -> Self {
        let sum = Int64(clamping: left.nanoseconds) &+ right.wholeNanoseconds
        return Self(nanoseconds: UInt64(max(0, sum)))
    }
    public static func - (left: Self, right: Self) -> Duration {
        .nanoseconds(Int64(clamping: left.nanoseconds) - Int64(clamping: right.nanoseconds))
    }
}

extension Duration {
    public var wholeMilliseconds: Int64 { wholeNanoseconds / 1_000_000 }
    public var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? (seconds < 0 ? .min : .max) : product &+ attoseconds / 1_000_000_000
    }
}

/// The only way to read or wait for time. The real one on a loop is `EventLoop`'s; tests use a manual one.
public protocol TimeSource: Sendable {
    var now: Timestamp { get }
    var uptime: Uptime { get }
    /// Returns at `deadline` (at once when it has passed); throws `CancellationError` when the task is cancelled.
    func wait(until deadline: Uptime) async throws
}

extension TimeSource {
    public func wait(for duration: Duration) async throws { try await wait(until: uptime + duration) }
}

/// The machine's clocks, waiting on the default pool.
public struct SystemTime: TimeSource {
    public init() {}

    public var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    public var uptime: Uptime {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Uptime(nanoseconds: UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec))
    }

    public func wait(until deadline: Uptime) async throws {
        let left = deadline - uptime
        guard left > .zero else { return try Task.checkCancellation() }
        try await Task.sleep(for: left)
    }
}
