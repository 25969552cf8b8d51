/// When the worker is started again: at once at first, then after 10 ms doubling to 5 s; a worker that lived 10 s starts
/// the count anew. Times are milliseconds of CLOCK_BOOTTIME.
package struct WorkerSupervisor: Equatable {
    package static let firstDelayMs: Int64 = 10
    package static let longestDelayMs: Int64 = 5000
    package static let provenAfterMs: Int64 = 10_000

    package enum State: Equatable {
        /// → running.
        case waiting(untilMs: Int64)
        /// → waiting.
        case running(pid: Int32, sinceMs: Int64)
    }

    package private(set) var state: State
    private var delayMs = firstDelayMs

    package init(nowMs: Int64) { state = .waiting(untilMs: nowMs) }

    /// Whether the worker is to be started now.
    package func isDue(nowMs: Int64) -> Bool {
        if case .waiting(let untilMs) = state { untilMs <= nowMs } else { false }
    }

    package var wakeAtMs: Int64? {
        if case .waiting(let untilMs) = state { untilMs } else { nil }
    }

    package var pid: Int32? {
        if case .running(let pid, _) = state { pid } else { nil }
    }

    package mutating func started(pid: Int32, nowMs: Int64) { state = .running(pid: pid, sinceMs: nowMs) }

    package mutating func couldNotStart(nowMs: Int64) { wait(nowMs: nowMs) }

    /// A child of the holder ended; true when it was the worker.
    package mutating func ended(pid: Int32, nowMs: Int64) -> Bool {
        guard case .running(pid, let sinceMs) = state else { return false }
        if nowMs - sinceMs >= Self.provenAfterMs { delayMs = Self.firstDelayMs }
        wait(nowMs: nowMs)
        return true
    }

    private mutating func wait(nowMs: Int64) {
        state = .waiting(untilMs: nowMs + delayMs)
        delayMs = min(delayMs * 2, Self.longestDelayMs)
    }
}
