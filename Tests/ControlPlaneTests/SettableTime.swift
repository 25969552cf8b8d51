import Base
import Synchronization

/// A clock that stands still until told otherwise; waiting on it lasts until its task is cancelled.
final class SettableTime: TimeSource {
    private let milliseconds = Mutex<Int64>(1_700_000_000_000)

    var now: Timestamp { Timestamp(milliseconds: milliseconds.withLock { $0 }) }
    var uptime: Uptime { Uptime(nanoseconds: UInt64(milliseconds.withLock { $0 }) * 1_000_000) }

    func advance(_ duration: Duration) { milliseconds.withLock { $0 += duration.wholeMilliseconds } }

    func wait(until deadline: Uptime) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        for await _ in stream {}
        withExtendedLifetime(continuation) {}
        throw CancellationError()
    }
}
