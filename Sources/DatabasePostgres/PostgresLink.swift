import Base
import Glibc

/// A thread's connection: made when needed, made again when lost. While the server cannot be reached every `open` fails
/// at once, with a try now and then.
final class PostgresLink {
    private let configuration: PostgresConfiguration
    private let role: PostgresHandle.Role
    private let time: any TimeSource
    let runs: ServerRuns
    private var handle: PostgresHandle?
    private var failures = 0
    private var failure: BerthError?
    private var nextTry = Uptime(nanoseconds: 0)

    /// - Parameter runs: where the runs of the server that this connection meets are entered, if it writes.
    init(
        _ configuration: PostgresConfiguration,
        _ role: PostgresHandle.Role,
        time: any TimeSource,
        runs: ServerRuns = ServerRuns()
    ) {
        self.runs = runs
        self.configuration = configuration
        self.role = role
        self.time = time
    }

    func open() throws(BerthError) -> PostgresHandle {
        if let handle, handle.isUp { return handle }
        handle = nil
        if let failure, time.uptime < nextTry { throw failure }
        do {
            let fresh = try PostgresHandle.connect(configuration, role, time: time)
            if let run = fresh.serverRun { try runs.met(run) { try fresh.text(TransactionMark.recoveredQuery) } }
            handle = fresh
            failures = 0
            failure = nil
            return fresh
        } catch {
            let error = Self.error(error)
            failure = error
            // 50, 100, 200, 400, 800, 1000 ms: a restart of the server is noticed soon.
            nextTry = time.uptime + .milliseconds(min(1000, 50 << min(failures, 5)))
            failures += 1
            throw error
        }
    }

    /// What happens on it next is not known to be in order.
    func drop() { handle = nil }

    static func error(_ error: any Error) -> BerthError {
        switch error {
        case let error as ExchangeFailure: error.failure.error
        case let error as PostgresFailure: error.error
        default: BerthError(wrapping: error)
        }
    }
}

/// Blocks the engine's own thread.
func pause(_ duration: Duration) { poll(nil, 0, Int32(clamping: max(1, duration.wholeMilliseconds))) }
