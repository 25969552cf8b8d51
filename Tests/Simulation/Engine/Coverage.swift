/// How often which fault met which state, over many schedules.
package struct Coverage: Sendable {
    /// Of an execution at the server, and of its attempt at the worker.
    package static let states = [
        "queued", "assigned", "assigned, cancelling", "running", "running, cancelling", "ended",
        "accepting", "preparing", "starting", "watched", "storing its end", "ended, not dropped",
    ]

    package private(set) var counts = [[Int]](
        repeating: [Int](repeating: 0, count: Self.states.count),
        count: Plan.FaultKind.allCases.count
    )
    package var schedules = 0
    package var events = 0
    package var fewestEvents = Int.max
    package var ends: [String: Int] = [:]
    package var attempts = 0

    package init() {}

    mutating func met(_ fault: Plan.FaultKind, _ state: Int) {
        guard let row = Plan.FaultKind.allCases.firstIndex(of: fault) else { return }
        counts[row][state] += 1
    }

    package mutating func add(_ other: Coverage) {
        for row in counts.indices {
            for column in counts[row].indices { counts[row][column] += other.counts[row][column] }
        }
        schedules += other.schedules
        events += other.events
        fewestEvents = min(fewestEvents, other.fewestEvents)
        attempts += other.attempts
        for name in other.ends.keys.sorted() { ends[name, default: 0] += other.ends[name] ?? 0 }
    }
}
