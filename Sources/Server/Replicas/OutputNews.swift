import Base
import Database
import Domain
import Executions
import Synchronization

// Output grows too often for each piece to be told to every server: a server tells what it watches, and is told of that.

/// A store that tells other servers when output which they watch has grown.
final class TellingOutput: OutputStoring {
    /// Who watches says so every ``OutputWatch/interval``.
    private static let lifetime = OutputWatch.interval * 4
    private let store: any OutputStoring
    private let wakeUps: any WakeUps
    private let time: any TimeSource
    private let watched = Mutex<[ExecutionID: Uptime]>([:])

    init(_ store: any OutputStoring, _ wakeUps: any WakeUps, time: any TimeSource) {
        self.store = store
        self.wakeUps = wakeUps
        self.time = time
        wakeUps.listen(OutputWatch.watching) { [weak self] wakeUp in
            guard let self, let id = wakeUp.flatMap({ try? ExecutionID($0.subject) }) else { return }
            note(id)
        }
    }

    private func note(_ id: ExecutionID) {
        let now = time.uptime
        watched.withLock { watched in
            watched[id] = now + Self.lifetime
            if watched.count > 1024 { watched = watched.filter { $0.value > now } }
        }
    }

    func append(_ key: AttemptKey, _ stream: OutputStream, at offset: Int64, _ bytes: ArraySlice<UInt8>) async throws
        -> Int64
    {
        let length = try await store.append(key, stream, at: offset, bytes)
        let until = watched.withLock { $0[key.executionID] }
        if let until, until > time.uptime { wakeUps.send(WakeUp(OutputWatch.grown, key.executionID)) }
        return length
    }

    func place(_ key: AttemptKey, _ stream: OutputStream) -> String { store.place(key, stream) }

    func length(_ key: AttemptKey, _ stream: OutputStream) async throws -> Int64 {
        try await store.length(key, stream)
    }

    func read(_ key: AttemptKey, _ stream: OutputStream, from offset: Int64, limit: Int) async throws -> [UInt8] {
        try await store.read(key, stream, from: offset, limit: limit)
    }
}

/// Tells other servers what is watched here, and those who watch when it has grown.
struct OutputWatch: Sendable {
    static let watching = "watching"
    static let grown = "grown"
    static let interval = Duration.seconds(3)

    private let wakeUps: any WakeUps
    private let executions: ExecutionService
    private let time: any TimeSource

    init(_ wakeUps: any WakeUps, executions: ExecutionService, time: any TimeSource) {
        self.wakeUps = wakeUps
        self.executions = executions
        self.time = time
        wakeUps.listen(Self.grown) { wakeUp in
            if let id = wakeUp.flatMap({ try? ExecutionID($0.subject) }) { executions.heardOutput(id) }
        }
    }

    /// Runs until cancelled.
    func run() async throws {
        while true {
            let count = executions.watchBegan.count
            for id in executions.watchedElsewhere {
                wakeUps.send(WakeUp(Self.watching, id))
                // Also for a wake-up that was lost.
                executions.heardOutput(id)
            }
            try await executions.watchBegan.wait(after: count, until: time.uptime + Self.interval, time: time)
        }
    }
}
