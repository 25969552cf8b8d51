internal import Base
internal import Synchronization

/// What one step of taking bytes from a process brought.
public enum SpoolIntake: Equatable, Sendable {
    case moved(Int)
    /// Nothing is waiting now.
    case empty
    /// The process and all who could still write have closed their ends.
    case ended
}

/// The worker's store of one stream: takes bytes from a pipe by splice(2), so that at every moment a byte is either in
/// the pipe, which the holder keeps, or in the file. A spool opened again after `kill -9` goes on where the files end.
///
/// Offsets of `read`, `length` and `acknowledge` count stored bytes, see ``OutputMark``.
public final class Spool: PipeStore {
    public static let stepBytes = 1 << 20

    public let key: OutputKey
    public let limits: SpoolLimits
    private let state: Mutex<SpoolState>
    private let nextWatcher = Atomic<UInt64>(0)

    /// Opens or makes the stream's directory under `root`. Throws `internal` when its files contradict each other.
    public init(root: String, key: OutputKey, limits: SpoolLimits = SpoolLimits()) throws {
        self.key = key
        self.limits = limits
        state = Mutex(try SpoolState(path: "\(root)/\(key.relativePath)", limits: limits))
    }

    /// Bytes that can be read: all up to the head's limit, and the tail too once the stream has ended.
    public var length: Int64 { state.withLock { $0.length } }

    /// Bytes the process wrote so far.
    public var totalBytes: Int64 { state.withLock { $0.totalBytes } }

    public var mark: OutputMark? { state.withLock { $0.mark } }

    /// Moves what waits in a pipe, at most ``stepBytes``. Throws `disk_full`; the bytes then stay in the pipe.
    public func receive(fromPipe pipe: Int32) throws -> SpoolIntake {
        let (intake, woken, length) = try state.withLock { state in
            let intake = try state.receive(fromPipe: pipe, limit: Self.stepBytes)
            return (intake, state.takeWatchers(), state.length)
        }
        for watcher in woken { watcher.resume(returning: .grown(length)) }
        return intake
    }

    /// Up to `count` bytes from `offset` on; none at ``length``. Throws `not_found` for bytes beyond it or acknowledged.
    public func read(from offset: Int64, upTo count: Int) throws -> [UInt8] {
        try state.withLock { try $0.read(from: offset, count: count) }
    }

    /// The server has stored everything before `offset`: files wholly before it are removed.
    public func acknowledge(upTo offset: Int64) throws {
        try state.withLock { try $0.acknowledge(upTo: offset) }
    }

    /// Ends the stream after ``SpoolIntake/ended``; again returns the same mark, also in a worker started later. Loss of
    /// power can undo it: a worker stores the mark with the attempt's end.
    @discardableResult
    public func finish() throws -> OutputMark {
        let (mark, woken) = try state.withLock { state in
            (try state.finish(), state.takeAllWatchers())
        }
        for watcher in woken { watcher.resume(returning: .finished(mark)) }
        return mark
    }

    /// Removes the stream's files; the spool is not used afterwards.
    public func remove() throws {
        try state.withLock { try $0.remove() }
    }

    /// As ``SegmentStore/waitForGrowth(_:beyond:)``. Bytes beyond the head wake nobody before the end.
    public func waitForGrowth(beyond offset: Int64) async throws -> Growth {
        let id = nextWatcher.wrappingAdd(1, ordering: .relaxed).newValue
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: GrowthWatchers.Continuation) in
                let known: Result<Growth, any Error>? = state.withLock { state in
                    // Inside the lock: a cancellation from now on finds the watcher.
                    if Task.isCancelled { return .failure(CancellationError()) }
                    return state.watch(id: id, beyond: offset, continuation).map { .success($0) }
                }
                if let known { continuation.resume(with: known) }
            }
        } onCancel: {
            let continuation = state.withLock { $0.removeWatcher(id: id) }
            continuation?.resume(throwing: CancellationError())
        }
    }
}
