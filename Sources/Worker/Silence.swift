internal import Base
internal import EventLoop
internal import Synchronization
internal import WorkerProtocol

/// When the server was heard last; a pong counts. A worker that has not heard it for 75 s ends its attempts, before the
/// server's own limit of 90 s lets another attempt begin.
final class Silence: Sendable {
    private let last: Mutex<Uptime>
    private let time: any TimeSource

    init(time: any TimeSource) {
        self.time = time
        last = Mutex(time.uptime)
    }

    func heard(at moment: Uptime) { last.withLock { $0 = max($0, moment) } }

    /// Runs until its task is cancelled; calls `fence` each time the silence gets too long.
    func watch(_ fence: @Sendable () async -> Void) async {
        while true {
            let limit = last.withLock { $0 } + ProtocolLimits.selfFenceAfter
            if time.uptime < limit {
                guard (try? await time.wait(until: limit)) != nil else { return }
                continue
            }
            await fence()
            guard (try? await time.wait(for: .seconds(5))) != nil else { return }
        }
    }
}
