/// Runs every job of the shipped services on the caller's thread, in an order that the seed decides.
///
/// Unchecked: made, filled and drained on one thread; a job never leaves it, since everything that could move it elsewhere
/// (threads, clocks, sockets) is simulated.
final class SimExecutor: TaskExecutor, @unchecked Sendable {
    private var ready: [UnownedJob] = []
    private var dice: Dice

    init(seed: UInt64) { dice = Dice(seed, 6) }

    func enqueue(_ job: consuming ExecutorJob) { ready.append(UnownedJob(job)) }

    /// Runs until nothing can run any more. Returns whether anything ran.
    @discardableResult
    func drain() -> Bool {
        var hasRun = false
        while !ready.isEmpty {
            // Mostly in order, as real executors do; now and then another one first.
            let place = ready.count > 1 && dice.chance(percent: 30) ? dice.within(0...ready.count - 1) : 0
            let job = ready.remove(at: place)
            job.runSynchronously(on: asUnownedTaskExecutor())
            hasRun = true
        }
        return hasRun
    }
}
