import EventLoop
import Glibc
import Synchronization

/// Shows what ThreadSanitizer can tell apart: `calibration race` must be reported, `calibration mutex` and
/// `calibration loop` must not.
@main struct Calibration {
    static let rounds = 300_000

    static func main() {
        let counter = Counter()
        switch CommandLine.arguments.dropFirst().first {
        case "race": counter.countOnTwoThreads(1000) { counter.plain += 1 }
        // So often that one thread has to wait for the other now and then.
        case "mutex": counter.countOnTwoThreads(rounds) { counter.locked.withLock { $0 += 1 } }
        case "loop": exit(counter.countOnLoop() ? 0 : 1)
        default: exit(2)
        }
    }
}

/// `@unchecked Sendable`: `plain` is unprotected on purpose.
final class Counter: @unchecked Sendable {
    var plain = 0
    let locked = Mutex(0)

    func countOnTwoThreads(_ rounds: Int, _ count: @escaping @Sendable () -> Void) {
        let (start, end) = (Meeting(of: 2), Meeting(of: 2))
        let threads = (0..<2).map { _ in
            CountingThread {
                start.wait()
                for _ in 0..<rounds { count() }
                // The sanitizer forgets what a thread did that has ended before the other began.
                end.wait()
            }
        }
        for thread in threads { thread.join() }
    }

    /// Both threads hand their counting to one loop, which needs no lock for it.
    func countOnLoop() -> Bool {
        guard let loop = try? EventLoop() else { return false }
        loop.start()
        countOnTwoThreads(Calibration.rounds) { [self] in loop.post { self.plain += 1 } }
        loop.stop()
        return plain == 2 * Calibration.rounds
    }
}

/// `@unchecked Sendable`: a barrier is made to be waited at by several threads.
final class Meeting: @unchecked Sendable {
    private let barrier = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)

    init(of count: UInt32) { pthread_barrier_init(barrier, nil, count) }

    deinit {
        pthread_barrier_destroy(barrier)
        barrier.deallocate()
    }

    func wait() { pthread_barrier_wait(barrier) }
}

struct CountingThread {
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }

    private var thread = pthread_t()

    init(_ run: @escaping @Sendable () -> Void) {
        pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            },
            Unmanaged.passRetained(Body(run)).toOpaque()
        )
    }

    func join() { pthread_join(thread, nil) }
}
