import Base
import Database
import Domain
import Synchronization

/// Capped streams that ended and are too long for their end to wait until what is stored of them has been read again.
final class LateDigests: Sendable {
    struct Stream: Sendable, Equatable {
        var key: AttemptKey
        var stream: OutputStream
        /// As recorded with the end.
        var storedBytes: Int64
    }

    private let waiting = Mutex<[Stream]>([])
    let bell = Wakeup()

    func add(_ streams: [Stream]) {
        guard !streams.isEmpty else { return }
        waiting.withLock { $0 += streams }
        bell.ring()
    }

    /// The one that has waited longest.
    func take() -> Stream? { waiting.withLock { $0.isEmpty ? nil : $0.removeFirst() } }
}

extension ExecutionService {
    /// One stream at a time, behind the ends. A server that stops before has not made the rest: of those the length alone
    /// is compared when they are read.
    func lateDigestLoop() async throws {
        while true {
            let count = lateDigests.bell.count
            await makeLateDigests()
            try await lateDigests.bell.wait(after: count)
        }
    }

    func makeLateDigests() async {
        while !Task.isCancelled, let next = lateDigests.take() {
            do {
                guard try await output.length(next.key, next.stream) == next.storedBytes else { continue }
                let digest = try await digest(next.key, next.stream, of: next.storedBytes)
                let sql = next.stream == .stdout ? Self.storeOutDigest : Self.storeErrDigest
                try await database.write { try $0.run(sql, next.key.executionID, next.key.attempt, digest) }
            } catch {
                let stream = next.stream.rawValue
                log.warning("digest not made", ["attempt": next.key, "stream": stream, "error": "\(error)"])
            }
        }
    }

    static let storeOutDigest: SQL = """
        UPDATE execution_attempts SET stdout_stored_digest = $3
        WHERE execution_id = $1 AND attempt = $2 AND ended_at > 0 AND stdout_stored_digest IS NULL
        """
    static let storeErrDigest: SQL = """
        UPDATE execution_attempts SET stderr_stored_digest = $3
        WHERE execution_id = $1 AND attempt = $2 AND ended_at > 0 AND stderr_stored_digest IS NULL
        """
}

extension WrittenReport {
    /// Those whose digest is still to be made.
    func lateDigests(of key: AttemptKey) -> [LateDigests.Stream] {
        OutputStream.allCases.compactMap { stream in
            let mark = stream == .stdout ? report.stdout : report.stderr
            guard let mark, mark.isTruncated, storedDigests[stream] == nil, let stored = mark.storedBytes else {
                return nil
            }
            return LateDigests.Stream(key: key, stream: stream, storedBytes: stored)
        }
    }
}
