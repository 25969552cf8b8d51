import Domain

/// One schedule: who wants what, and what goes wrong when. All of it follows from the seed; parts can be left out, to find
/// the few that a failure needs.
package struct Plan: Sendable {
    struct Order: Sendable {
        var index: Int
        /// Milliseconds of the world's clock, like all times here.
        var at: Int64
        var retry: RetryPolicy
        var timeoutMs: Int64?
        /// From acceptance to the process's start.
        var preparationMs: Int
        /// Lengths of what it writes to standard output and standard error, one after the other.
        var writes: [Int]
        var pauseMs: Int
        var exitCode: Int32
        /// Bytes of each stream that are kept from its start.
        var headBytes: Int64
        var ignoresTerm: Bool
        var cancelAt: Int64?
    }

    package enum FaultKind: String, Sendable, CaseIterable {
        case serverCrash, serverCrashAmidEffects, workerCrash, holderDeath, cut, halfOpen, partition, oneWayPartition
        case slowLink, clockForward, clockBack, partialWrite, storageFails, serverFreeze, workerGone
    }

    struct Fault: Sendable {
        var index: Int
        var kind: FaultKind
        var at: Int64
        var target: Int
        var durationMs: Int
        /// A second number, whose meaning depends on the kind.
        var detail: Int
    }

    static let start: Int64 = 1_000_000
    static let workers = 3

    package var seed: UInt64
    var orders: [Order]
    var faults: [Fault]
    /// Numbers of the parts that were left out: orders from 0, faults from 100, cancels from 200.
    package var without: Set<Int> = []
    var slots: [Int]

    package init(seed: UInt64, without: Set<Int> = []) {
        var dice = Dice(seed, 1)
        self.seed = seed
        let count = dice.within(5...9)
        let span = dice.within(20_000...200_000)
        slots = (0..<Self.workers).map { _ in dice.within(1...3) }
        orders = (0..<count).map { Self.order($0, span, seed) }
        // A few kinds at a time: rare meetings of two faults come up more often than with all kinds in every schedule.
        let kinds = (0..<dice.within(1...5)).map { _ in
            FaultKind.allCases[dice.within(0...FaultKind.allCases.count - 1)]
        }
        faults = (0..<dice.within(5...11)).map { Self.fault($0, kinds, span, seed) }
        for part in without.sorted() { leaveOut(part) }
    }

    /// The parts that can still be left out.
    package var parts: [Int] {
        faults.map { 100 + $0.index } + orders.filter { $0.cancelAt != nil }.map { 200 + $0.index }
            + orders.map(\.index)
    }

    private mutating func leaveOut(_ part: Int) {
        without.insert(part)
        switch part {
        case 200...:
            for place in orders.indices where orders[place].index == part - 200 { orders[place].cancelAt = nil }
        case 100...: faults.removeAll { $0.index == part - 100 }
        default: orders.removeAll { $0.index == part }
        }
    }

    private static func order(_ index: Int, _ span: Int, _ seed: UInt64) -> Order {
        var dice = Dice(seed, 2, index)
        let at = start + Int64(dice.within(1...span / 2))
        var order = Order(
            index: index,
            at: at,
            retry: dice.chance(percent: 50) ? .idempotent : .never,
            timeoutMs: dice.chance(percent: 25) ? Int64(dice.within(1000...90_000)) : nil,
            preparationMs: dice.within(1...(dice.chance(percent: 30) ? 20_000 : 100)),
            writes: (0..<dice.within(0...10)).map { _ in dice.within(1...40) },
            pauseMs: dice.within(1...(dice.chance(percent: 60) ? 15_000 : 500)),
            exitCode: dice.chance(percent: 20) ? 1 : 0,
            headBytes: dice.chance(percent: 30) ? Int64(dice.within(8...64)) : 1000,
            ignoresTerm: dice.chance(percent: 20),
            cancelAt: nil
        )
        if dice.chance(percent: 25) {
            // Long and silent, so that nothing but heartbeats tells that it lives.
            order.pauseMs = dice.within(20_000...60_000)
            order.writes = Array(order.writes.prefix(3))
        }
        if dice.chance(percent: 25) { order.cancelAt = at + Int64(dice.within(0...span / 2)) }
        return order
    }

    private static func fault(_ index: Int, _ kinds: [FaultKind], _ span: Int, _ seed: UInt64) -> Fault {
        var dice = Dice(seed, 3, index)
        let kind = kinds[dice.within(0...kinds.count - 1)]
        let duration =
            switch kind {
            case .partition, .oneWayPartition:
                dice.chance(percent: 50) ? dice.within(60_000...130_000) : dice.within(100...30_000)
            case .serverCrash, .serverCrashAmidEffects:
                dice.chance(percent: 30) ? dice.within(60_000...120_000) : dice.within(1...5000)
            case .workerCrash: dice.within(1...5000)
            case .holderDeath: dice.within(1...(dice.chance(percent: 30) ? 150_000 : 5000))
            case .slowLink: dice.within(100...60_000)
            case .clockForward, .clockBack: dice.within(1...(dice.chance(percent: 10) ? 4_000_000 : 60_000))
            case .serverFreeze: dice.within(10...30_000)
            default: dice.within(1...10_000)
            }
        return Fault(
            index: index,
            kind: kind,
            at: start + Int64(dice.within(1...span)),
            // One that never comes back is always the same.
            target: kind == .workerGone ? 0 : dice.within(0...workers - 1),
            durationMs: duration,
            detail: dice.within(0...11)
        )
    }
}
