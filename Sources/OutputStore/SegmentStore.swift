public import Base
internal import Synchronization

/// The server's output: append-only segment files under `root`, one directory per stream.
///
/// Calls on different streams run side by side; those on one stream one after the other. Nothing but a bounded number of
/// idle lengths is kept in memory.
public final class SegmentStore: Sendable {
    /// What an accepted append survives.
    public enum Durability: Sendable {
        /// Death of the server.
        case processCrash
        /// Loss of power: every append is on the disk before it is answered.
        case powerLoss
    }

    public static let segmentByteRange = 4 << 20...16 << 20
    private static let idleStreams = 256

    private struct Entry {
        var stream: StoredStream
        var uses: Int
    }

    private let root: String
    private let segmentBytes: Int64
    private let durability: Durability
    private let files: FileCalls
    private let entries = Mutex<[OutputKey: Entry]>([:])
    private let nextWatcher = Atomic<UInt64>(0)

    /// `segmentBytes`: 4 MiB to 16 MiB; other values are moved into that range.
    public init(
        root: String,
        segmentBytes: Int = 4 << 20,
        durability: Durability = .processCrash,
        files: FileCalls = .system
    ) {
        self.root = root
        let range = Self.segmentByteRange
        self.segmentBytes = Int64(min(max(segmentBytes, range.lowerBound), range.upperBound))
        self.durability = durability
        self.files = files
    }

    /// Stores `bytes` as the stream's `offset` on and returns the stream's length. Bytes already stored are skipped, so a
    /// repeated append is harmless. Throws `output_gap` when `offset` is beyond the end, `disk_full` (what was stored
    /// stays valid and may include a first part of `bytes`), `conflict` when the stream has ended before.
    @discardableResult
    public func append(_ key: OutputKey, at offset: Int64, _ bytes: [UInt8]) throws -> Int64 {
        try withStream(key) { try $0.append(at: offset, bytes, durability: durability) }
    }

    /// Up to `count` bytes from `offset` on; none at the end. Throws `not_found` for an offset beyond it.
    public func read(_ key: OutputKey, from offset: Int64, upTo count: Int) throws -> [UInt8] {
        try withStream(key) { try $0.read(from: offset, count: count) }
    }

    /// Stored bytes; 0 for an unknown stream.
    public func length(_ key: OutputKey) throws -> Int64 {
        try withStream(key) { try $0.length() }
    }

    /// The directory of a stream, for people.
    public func path(_ key: OutputKey) -> String { "\(root)/\(key.relativePath)" }

    /// Ends the stream. The same mark again is fine, another one is `conflict`; stored bytes that do not fit the mark are
    /// `protocol_violation` and the stream stays open.
    public func finish(_ key: OutputKey, mark: OutputMark) throws {
        try withStream(key) { try $0.finish(mark) }
    }

    /// The end mark, nil while the stream is open or unknown.
    public func mark(_ key: OutputKey) throws -> OutputMark? {
        try withStream(key) { try $0.mark() }
    }

    /// Removes every stream of every attempt. Waiters get `not_found`. Fine when there is nothing.
    public func remove(execution: ExecutionID) throws {
        let affected = entries.withLock { entries in
            let keys = entries.keys.filter { $0.executionID == execution }
            return keys.compactMap { entries.removeValue(forKey: $0)?.stream }
        }
        for stream in affected { stream.discard() }
        try Directory.remove("\(root)/\(execution)")
    }

    /// Returns once more than `offset` bytes are stored or the stream has ended, at once when that is so already. Any
    /// number of tasks may wait; a cancelled one throws `CancellationError`.
    public func waitForGrowth(_ key: OutputKey, beyond offset: Int64) async throws -> Growth {
        let id = nextWatcher.wrappingAdd(1, ordering: .relaxed).newValue
        let stream = retain(key)
        defer { release(key, stream) }
        return try await stream.waitForGrowth(beyond: offset, watcher: id)
    }

    private func withStream<Result>(_ key: OutputKey, _ body: (StoredStream) throws -> Result) rethrows -> Result {
        let stream = retain(key)
        defer { release(key, stream) }
        return try body(stream)
    }

    private func retain(_ key: OutputKey) -> StoredStream {
        entries.withLock { entries in
            if let known = entries[key] {
                entries[key]?.uses += 1
                return known.stream
            }
            if entries.count >= Self.idleStreams { entries = entries.filter { $0.value.uses > 0 } }
            let stream = StoredStream(
                directory: SegmentDirectory(path: path(key)),
                segmentBytes: segmentBytes,
                files: files
            )
            entries[key] = Entry(stream: stream, uses: 1)
            return stream
        }
    }

    private func release(_ key: OutputKey, _ stream: StoredStream) {
        entries.withLock { entries in
            // A removed execution's entry is gone, or is already another stream's.
            if entries[key]?.stream === stream { entries[key]?.uses -= 1 }
        }
    }
}
