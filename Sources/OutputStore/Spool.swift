internal import Base
internal import CSplice
internal import Glibc
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
public final class Spool: Sendable {
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

    /// Moves what waits in a terminal, by way of the pipe that the holder keeps for it.
    public func receive(
        fromTerminal master: Int32,
        tunnelIn: Int32,
        tunnelOut: Int32
    ) throws -> SpoolIntake {
        // First what a killed predecessor left in the tunnel: it came earlier.
        let waiting = berth_bytes_waiting(tunnelOut)
        if waiting > 0 { return try receive(fromPipe: tunnelOut) }
        let moved = berth_splice_to_pipe(master, tunnelIn, 64 << 10)
        switch Int32(clamping: -moved) {
        case EAGAIN: return .empty
        // A terminal's master reports EIO once nobody has its slave open.
        case EIO, 0: return .ended
        case EINVAL: return try copy(fromTerminal: master, tunnelIn: tunnelIn, tunnelOut: tunnelOut)
        case let error where error > 0: throw BerthError.file("splice", "terminal", error)
        default: return try receive(fromPipe: tunnelOut)
        }
    }

    /// For kernels that cannot splice from a terminal (5.8 to 5.10): the bytes are in this process for a moment, and lost
    /// if it is killed in that one.
    private func copy(fromTerminal master: Int32, tunnelIn: Int32, tunnelOut: Int32) throws -> SpoolIntake {
        // The empty tunnel takes a page whole.
        let count = withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            let count = Glibc.read(master, buffer.baseAddress, buffer.count)
            return count > 0 ? Glibc.write(tunnelIn, buffer.baseAddress, count) : count < 0 ? -Int(errno) : 0
        }
        if count == -Int(EAGAIN) { return .empty }
        if count <= 0 { return .ended }
        return try receive(fromPipe: tunnelOut)
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
