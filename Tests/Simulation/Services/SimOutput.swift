import Base
import Domain
import Executions
import Glibc
import OutputStore

/// The shipped segment store on files in memory, as one life of the server's process uses it.
struct SimOutput: OutputStoring {
    private let segments: SegmentOutput
    private let process: SimProcess
    private let mistakes: Set<Mistake>
    /// What a planted mistake has acknowledged and not stored.
    private let promised = Promised()
    private let look: @Sendable (AttemptKey, Domain.OutputStream) -> Void

    private final class Promised: @unchecked Sendable {
        var lengths: [AttemptKey: [Domain.OutputStream: Int64]] = [:]
    }

    init(
        root: String,
        process: SimProcess,
        mistakes: Set<Mistake>,
        look: @escaping @Sendable (AttemptKey, Domain.OutputStream) -> Void
    ) {
        self.process = process
        self.mistakes = mistakes
        self.look = look
        segments = SegmentOutput(
            SegmentStore(root: root, files: FileCalls { Self.write($0, $1, $2, process) })
        )
    }

    /// As pwrite(2), until the process dies in the middle of it.
    private static func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, _ offset: Int64, _ process: SimProcess)
        -> Int
    {
        guard process.isAlive else { return -Int(EIO) }
        guard let kept = process.tornWrite else { return FileCalls.system.write(file, bytes, offset) }
        process.die()
        let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(kept))
        return part.isEmpty ? -Int(EIO) : FileCalls.system.write(file, part, offset)
    }

    private func file(_ key: AttemptKey) -> AttemptKey {
        mistakes.contains(.dedupeByExecution) ? AttemptKey(key.executionID, 1) : key
    }

    func length(_ key: AttemptKey, _ stream: Domain.OutputStream) async throws -> Int64 {
        try process.requireAlive()
        let stored = try await segments.length(file(key), stream)
        return max(stored, promised.lengths[key]?[stream] ?? 0)
    }

    func append(_ key: AttemptKey, _ stream: Domain.OutputStream, at offset: Int64, _ bytes: ArraySlice<UInt8>)
        async throws
        -> Int64
    {
        try await process.effect()
        try process.requireStorage()
        if mistakes.contains(.acknowledgeBeforeStoring) {
            promised.lengths[key, default: [:]][stream] = offset + Int64(bytes.count)
            try await process.wait(for: .milliseconds(300))
        }
        let length = try await segments.append(file(key), stream, at: offset, bytes)
        try process.requireAlive()
        look(key, stream)
        try await process.effect()
        return length
    }

    func read(_ key: AttemptKey, _ stream: Domain.OutputStream, from offset: Int64, limit: Int) async throws -> [UInt8]
    {
        try process.requireAlive()
        return try await segments.read(file(key), stream, from: offset, limit: limit)
    }

    func place(_ key: AttemptKey, _ stream: Domain.OutputStream) -> String { "the simulation" }
}
