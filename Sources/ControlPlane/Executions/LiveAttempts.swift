import Base
import Domain
import OpenSSL
import Synchronization

/// Who may write output now: the fence of bytes, which no statement can carry. Memory only; filled when an attempt is
/// assigned and from the rows after a restart.
final class LiveAttempts: Sendable {
    struct Live: Sendable {
        var organizationID: OrganizationID
        var ownerID: UserID
        var workerID: WorkerID
        var outputLimit: Int64
        /// Nothing was written to its streams.
        var isUntouched = false
        /// A documented peer's streams, whose marks the server makes.
        var tallies: [OutputStream: ChunkTally] = [:]
        /// As its row was last seen.
        fileprivate(set) var seen: StoredExecution?
    }

    private let attempts = Mutex<[AttemptKey: Live]>([:])

    func add(_ key: AttemptKey, _ live: Live) { attempts.withLock { $0[key] = live } }

    /// Its row was read, or written.
    func saw(_ stored: StoredExecution, _ key: AttemptKey) {
        attempts.withLock { attempts in
            let version = attempts[key]?.seen?.record.version ?? 0
            if version < stored.record.version { attempts[key]?.seen = stored }
        }
    }

    /// Something is written to its streams.
    func touch(_ key: AttemptKey) { attempts.withLock { $0[key]?.isUntouched = false } }

    func remove(_ key: AttemptKey) { attempts.withLock { $0[key] = nil } }

    subscript(_ key: AttemptKey) -> Live? { attempts.withLock { $0[key] } }

    func setTally(_ tally: ChunkTally, _ key: AttemptKey, _ stream: OutputStream) {
        attempts.withLock { $0[key]?.tallies[stream] = tally }
    }
}

/// All that a documented peer wrote to one stream, stored or not.
struct ChunkTally: Sendable {
    var total: Int64
    var stored: Int64
    var hash: SHA256
}

extension LiveAttempts {
    /// Those of one execution up to `attempt`: one at most, but for attempts whose end has not been heard of. Further back
    /// than the last few none can be open.
    func keys(of execution: ExecutionID, upTo attempt: Int) -> [AttemptKey] {
        guard attempt > 0 else { return [] }
        let keys = (max(1, attempt - 3)...attempt).map { AttemptKey(execution, $0) }
        return attempts.withLock { attempts in keys.filter { attempts[$0] != nil } }
    }

    var executions: Set<ExecutionID> { attempts.withLock { Set($0.keys.map(\.executionID)) } }

    func held(by worker: WorkerID) -> [AttemptKey] {
        attempts.withLock { $0.filter { $0.value.workerID == worker }.map(\.key) }
            .sorted { ($0.executionID, $0.attempt) < ($1.executionID, $1.attempt) }
    }
}
