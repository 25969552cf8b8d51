internal import Base
internal import Glibc
internal import OpenSSL
internal import Synchronization

/// One stream of a ``SegmentStore``: its lock, what is known of its files, and who waits for it.
final class StoredStream: Sendable {
    private struct State {
        /// Nil until the directory was read.
        var segments: [Segment]?
        var mark: OutputMark?
        /// Segments behind a hole, which are no part of the stream. They are left as they are until it grows.
        var strays: [Segment] = []
        var isDiscarded = false
        var watchers = GrowthWatchers()

        var length: Int64 { segments?.last?.end ?? 0 }
    }

    private let directory: SegmentDirectory
    private let segmentBytes: Int64
    private let files: FileCalls
    private let state = Mutex(State())

    init(directory: SegmentDirectory, segmentBytes: Int64, files: FileCalls) {
        self.directory = directory
        self.segmentBytes = segmentBytes
        self.files = files
    }

    private var markPath: String { "\(directory.path)/end" }

    /// Reads the directory once. What lies behind a hole (only power loss can make one) is not part of the stream.
    private func load(_ state: inout State) throws(BerthError) {
        if state.isDiscarded { throw BerthError(.notFound, "the execution's output was removed") }
        guard state.segments == nil else { return }
        var segments: [Segment] = []
        for segment in try directory.segments() {
            let isNext = segment.start == segments.last?.end ?? 0
            if isNext { segments.append(segment) } else { state.strays.append(segment) }
        }
        if let bytes = try Directory.contents(markPath) {
            state.mark = try OutputMark(fileText: String(decoding: bytes, as: UTF8.self))
        }
        state.segments = segments
    }

    func length() throws -> Int64 {
        try state.withLock { state in
            try load(&state)
            return state.length
        }
    }

    func mark() throws -> OutputMark? {
        try state.withLock { state in
            try load(&state)
            return state.mark
        }
    }

    func read(from offset: Int64, count: Int) throws -> [UInt8] {
        let segments = try state.withLock { state in
            try load(&state)
            guard (0...state.length).contains(offset) else {
                throw BerthError(.notFound, "offset \(offset) is beyond the \(state.length) stored bytes")
            }
            return state.segments ?? []
        }
        // Without the lock: stored bytes never change.
        return try directory.read(segments, from: offset, count: count)
    }

    func append(at offset: Int64, _ bytes: [UInt8], durability: SegmentStore.Durability) throws -> Int64 {
        let (length, woken, failure) = try state.withLock { state in
            try load(&state)
            guard offset >= 0, offset <= state.length else {
                throw BerthError(
                    .outputGap,
                    "bytes from \(offset) on were offered but only \(state.length) are stored",
                    remedy: "send again from \(state.length)"
                )
            }
            let fresh = bytes.dropFirst(Int(min(state.length - offset, Int64(bytes.count))))
            if !fresh.isEmpty && state.mark != nil {
                throw BerthError(.conflict, "the stream has ended with \(state.length) bytes")
            }
            let failure = write(fresh, &state, durability)
            return (state.length, state.watchers.take(length: state.length), failure)
        }
        for watcher in woken { watcher.resume(returning: .grown(length)) }
        if let failure { throw failure }
        return length
    }

    /// Writes what it can; the state says how much that was, also when an error is returned.
    private func write(
        _ bytes: ArraySlice<UInt8>,
        _ state: inout State,
        _ durability: SegmentStore.Durability
    ) -> BerthError? {
        var rest = bytes
        var segments = state.segments ?? []
        for stray in state.strays { directory.unlink(stray) }
        state.strays = []
        defer { state.segments = segments }
        do throws(BerthError) {
            while !rest.isEmpty {
                if segments.last.map({ $0.size >= segmentBytes }) ?? true {
                    if segments.isEmpty { try Directory.make(directory.path) }
                    segments.append(Segment(start: segments.last?.end ?? 0, size: 0))
                }
                let index = segments.count - 1
                let room = Int(segmentBytes - segments[index].size)
                let file = try OpenFile(path: directory.path(of: segments[index]), flags: O_WRONLY | O_CREAT)
                let size = segments[index].size
                let written = rest.prefix(room).withUnsafeBytes { files.write(file.descriptor, $0, size) }
                if written == -Int(EINTR) { continue }
                if written <= 0 { throw .file("write", directory.path, written < 0 ? Int32(-written) : ENOSPC) }
                if durability == .powerLoss { try file.synchronize() }
                segments[index].size += Int64(written)
                rest = rest.dropFirst(written)
            }
            return nil
        } catch {
            if segments.last?.size == 0 { segments.removeLast() }
            return error
        }
    }

    func finish(_ mark: OutputMark) throws {
        let woken = try state.withLock { state in
            try load(&state)
            if let known = state.mark {
                if known == mark { return [GrowthWatchers.Continuation]() }
                throw BerthError(.conflict, "the stream has already ended with another mark")
            }
            guard mark.storedBytes == state.length else {
                throw BerthError(
                    .protocolViolation,
                    "the mark tells of \(mark.storedBytes) stored bytes but \(state.length) are"
                )
            }
            if !mark.isTruncated { try verify(mark, state.segments ?? []) }
            try Directory.make(directory.path)
            try Directory.replace(markPath, with: Array(mark.fileText.utf8), files: files)
            state.mark = mark
            return state.watchers.takeAll()
        }
        for watcher in woken { watcher.resume(returning: .finished(mark)) }
    }

    private func verify(_ mark: OutputMark, _ segments: [Segment]) throws(BerthError) {
        var running = SHA256()
        while running.byteCount < mark.totalBytes {
            let bytes = try directory.read(segments, from: running.byteCount, count: 256 << 10)
            if bytes.isEmpty { break }
            running.update(bytes)
        }
        guard Hex.encode(running.digest) == mark.sha256 else {
            throw BerthError(.protocolViolation, "the stored bytes do not have the digest of the mark")
        }
    }

    func waitForGrowth(beyond offset: Int64, watcher id: UInt64) async throws -> Growth {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: GrowthWatchers.Continuation) in
                let known: Result<Growth, any Error>? = state.withLock { state in
                    do {
                        try load(&state)
                        // Inside the lock: a cancellation from now on finds the watcher.
                        try Task.checkCancellation()
                    } catch { return .failure(error) }
                    if state.length > offset { return .success(.grown(state.length)) }
                    if let mark = state.mark { return .success(.finished(mark)) }
                    state.watchers.add(id: id, beyond: offset, continuation)
                    return nil
                }
                if let known { continuation.resume(with: known) }
            }
        } onCancel: {
            let continuation = state.withLock { $0.watchers.remove(id: id) }
            continuation?.resume(throwing: CancellationError())
        }
    }

    func discard() {
        let woken = state.withLock { state in
            state.isDiscarded = true
            return state.watchers.takeAll()
        }
        for watcher in woken {
            watcher.resume(throwing: BerthError(.notFound, "the execution's output was removed"))
        }
    }
}
