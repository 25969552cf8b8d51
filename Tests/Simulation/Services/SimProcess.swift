import Base

/// One life of the server's process: its clock, its randomness, and its end. Every effect of the services passes `effect`,
/// before and after; once the process is dead nothing that it still tries reaches the world.
///
/// Unchecked: used on the simulation's one thread only.
final class SimProcess: TimeSource, Randomness, @unchecked Sendable {
    private typealias Sleeper = CheckedContinuation<Void, any Error>

    unowned let world: World
    let life: Int
    private(set) var isAlive = true
    private var dice: Dice
    private var sleepers: [UInt64: Sleeper] = [:]
    private var count: UInt64 = 0
    /// How slow the machine is in this life.
    private let longestPauseMs: Int
    var isSlow: Bool { longestPauseMs > 100 }
    /// Effects until the process ends.
    var pointsLeft: Int?
    /// Bytes of the next write of output that are stored; then the process ends.
    var tornWrite: Int?
    var storageFailsUntil: Int64 = 0

    init(_ world: World, life: Int) {
        self.world = world
        self.life = life
        dice = Dice(world.plan.seed, 7, life)
        longestPauseMs = [5, 30, 30, 300, 2000][dice.within(0...4)]
    }

    // MARK: - Time and chance

    var now: Timestamp { world.wall }
    var uptime: Uptime { world.uptime }
    func next() -> UInt64 { dice.next() }

    func wait(until deadline: Uptime) async throws {
        guard isAlive else { throw CancellationError() }
        guard deadline > uptime else { return try Task.checkCancellation() }
        // Rounded up: nobody wakes before the time.
        let at = Int64((deadline.nanoseconds + 999_999) / 1_000_000)
        count += 1
        let id = count
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: Sleeper) in
                guard isAlive, !Task.isCancelled else { return continuation.resume(throwing: CancellationError()) }
                sleepers[id] = continuation
                world.add(.server(life: life, .wake(id)), at: min(at, world.now + 100_000_000))
            }
        } onCancel: {
            sleepers.removeValue(forKey: id)?.resume(throwing: CancellationError())
        }
    }

    func wake(_ id: UInt64) { sleepers.removeValue(forKey: id)?.resume() }

    // MARK: - Effects

    /// Tasks that are interrupted between two effects.
    private(set) var interrupted = 0

    /// The process may be interrupted here by others of its tasks, and may end here.
    func effect() async throws {
        try requireAlive()
        if dice.chance(percent: 25) {
            interrupted += 1
            defer { interrupted -= 1 }
            try await wait(for: .milliseconds(dice.within(1...longestPauseMs)))
        }
        try requireAlive()
        try point()
    }

    func requireAlive() throws { if !isAlive { throw CancellationError() } }

    func point() throws {
        guard let left = pointsLeft else { return }
        pointsLeft = left - 1
        if left <= 0 {
            die()
            throw CancellationError()
        }
    }

    func requireStorage() throws {
        if storageFailsUntil > world.now { throw BerthError(.unavailable, "the database is busy", isRetryable: true) }
    }

    func die() {
        guard isAlive else { return }
        isAlive = false
        let sleeping = sleepers
        sleepers = [:]
        for id in sleeping.keys.sorted() { sleeping[id]?.resume(throwing: CancellationError()) }
    }
}
