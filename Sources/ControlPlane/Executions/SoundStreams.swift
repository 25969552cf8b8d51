import Base
import Database
import Domain
import Synchronization

/// Ended streams that were found to be what was recorded of them. The others, and all after a restart, are looked at when
/// they are read.
final class SoundStreams: Sendable {
    private struct Place: Hashable {
        var key: AttemptKey
        var stream: OutputStream
    }

    private let places = Mutex<Set<Place>>([])
    private static let capacity = 1 << 16

    func contains(_ key: AttemptKey, _ stream: OutputStream) -> Bool {
        places.withLock { $0.contains(Place(key: key, stream: stream)) }
    }

    func add(_ key: AttemptKey, _ stream: OutputStream) {
        places.withLock { places in
            if places.count >= Self.capacity { places.removeAll() }
            places.insert(Place(key: key, stream: stream))
        }
    }
}

extension ExecutionService {
    func requireSound(_ key: AttemptKey, _ stream: OutputStream) async throws {
        guard live[key] == nil, !sound.contains(key, stream) else { return }
        let row = try await database.read { connection in
            try connection.first(ExecutionStore.streamMarks, key.executionID, key.attempt)
        }
        guard let row, let mark = try ExecutionStore.mark(of: stream, row), let recorded = mark.storedBytes else {
            return
        }
        let stored = try await output.length(key, stream)
        guard stored == recorded else {
            throw damaged(key, stream, "\(stored) of its \(recorded) bytes are there")
        }
        let expected = mark.isTruncated ? try ExecutionStore.storedDigest(of: stream, row) : mark.sha256
        if let expected, try await digest(key, stream, of: stored) != expected {
            throw damaged(key, stream, "its bytes do not have the digest that was made of them at its end")
        }
        sound.add(key, stream)
    }

    private func damaged(_ key: AttemptKey, _ stream: OutputStream, _ why: String) -> BerthError {
        let place = output.place(key, stream)
        log.error(
            "stored output is damaged",
            ["attempt": key, "stream": stream.rawValue, "place": place, "reason": why]
        )
        return BerthError(
            .outputDamaged,
            "the stored \(stream.rawValue) of \(key.executionID), attempt \(key.attempt), is damaged: \(why)",
            remedy: "restore \(place) from a backup; every other stream can be read"
        )
    }
}
