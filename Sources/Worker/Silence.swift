internal import Base
internal import Glibc
internal import Synchronization
internal import WorkerProtocol

/// Up to when the server has certainly heard this worker: the moment at which the last ping was sent that it answered. Its
/// own words alone say nothing of that. A worker that has no such answer for 75 s ends its attempts, before the server's
/// limit of 90 s, counted from what it last heard, lets another attempt begin.
///
/// Kept in a file as well, so that a worker that dies and starts again does not begin to count anew.
final class Silence: Sendable {
    private let last: Mutex<Uptime>
    private let time: any TimeSource
    private let file: String

    init(time: any TimeSource, file: String) {
        self.time = time
        self.file = file
        let now = time.uptime
        let stored = UInt64(EnvironmentLayout.contents(file)).map { Uptime(nanoseconds: $0) }
        // A later moment than now is one before the machine's last boot.
        last = Mutex(stored.map { $0 > now ? now : $0 } ?? now)
    }

    func heard(at moment: Uptime) {
        let latest = last.withLock { last in
            last = max(last, moment)
            return last
        }
        // In place: the number of digits never shrinks within a boot, and a torn number only fences too early.
        let descriptor = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        let text = Array(String(latest.nanoseconds).utf8)
        ftruncate(descriptor, text.count)
        _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        close(descriptor)
    }

    /// When the attempts must end unless the server is heard again.
    var limit: Uptime { last.withLock { $0 } + ProtocolLimits.selfFenceAfter }

    /// Runs until its task is cancelled; calls `fence` each time the silence gets too long.
    func watch(_ fence: @Sendable () async -> Void) async {
        while true {
            let limit = limit
            if time.uptime < limit {
                guard (try? await time.wait(until: limit)) != nil else { return }
                continue
            }
            await fence()
            guard (try? await time.wait(for: .seconds(5))) != nil else { return }
        }
    }
}
