import Glibc
import Synchronization

/// Runs `body` on a thread of its own: for calls that block.
public func onThread(_ body: @escaping @Sendable () -> Void) {
    final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    var thread = pthread_t()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, 256 << 10)
    let context = Unmanaged.passRetained(Body(body)).toOpaque()
    pthread_create(
        &thread,
        &attributes,
        { context in
            guard let context else { return nil }
            Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
            return nil
        },
        context
    )
    pthread_attr_destroy(&attributes)
}

/// Calls its closure once, whoever comes first.
final class Once: Sendable {
    /// Wrapped: a bare closure in a generic container gains a thunk with every access, until calling it needs more stack
    /// than there is.
    private struct Body: Sendable { let run: @Sendable () -> Void }

    private let body: Mutex<Body?>

    init(_ run: @escaping @Sendable () -> Void) { body = Mutex(Body(run: run)) }

    var hasRun: Bool { body.withLock { $0 == nil } }

    func run() {
        let body = body.withLock { body in
            defer { body = nil }
            return body
        }
        body?.run()
    }
}

/// Waits a hundredth of a second of `left`; false when nothing is left. Slices let a thread whose wait is over end soon.
func nanosleepSlice(_ left: inout timespec) -> Bool {
    let slice = 10_000_000
    guard left.tv_sec > 0 || left.tv_nsec > 0 else { return false }
    var pause = timespec(tv_sec: 0, tv_nsec: left.tv_sec > 0 ? slice : min(slice, left.tv_nsec))
    left.tv_nsec -= pause.tv_nsec
    if left.tv_nsec < 0 {
        left.tv_sec -= 1
        left.tv_nsec += 1_000_000_000
    }
    nanosleep(&pause, nil)
    return true
}

/// Replaces `descriptor`, so that a pipe's reader sees its end while the number stays owned.
func dup2Null(onto descriptor: Int32) {
    let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
    guard null >= 0 else { return }
    dup2(null, descriptor)
    close(null)
}

/// Time since boot in nanoseconds, for deadlines of the support code itself.
struct Uptime: Sendable {
    var nanoseconds: Int64

    static var now: Uptime {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Uptime(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    static func + (left: Self, right: Duration) -> Self {
        let (seconds, attoseconds) = right.components
        return Uptime(nanoseconds: left.nanoseconds + seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    static func - (left: Self, right: Self) -> Int64 { left.nanoseconds - right.nanoseconds }
}
