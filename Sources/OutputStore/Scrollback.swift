public import Base
internal import CSplice
internal import Glibc
internal import Synchronization

/// A terminal's bytes on disk, numbered from its first: the newest ``limit`` bytes and up to one segment more. What is
/// older is gone, and a reader that asks for it learns where the kept bytes begin.
///
/// Opened again after `kill -9` it goes on where its files end. Loss of power may take the last seconds.
public final class Scrollback: PipeStore {
    /// Origin: a terminal keeps 64 MiB.
    public static let standardLimit: Int64 = 64 << 20
    private static let stepBytes = 256 << 10

    public let limit: Int64
    private let segmentBytes: Int64
    private let directory: SegmentDirectory
    private let state: Mutex<State>

    private struct State {
        var segments: [Segment]
        var current: OpenFile?
    }

    /// Opens or makes the directory at `path`. Throws `internal` when its files contradict each other.
    public init(path: String, limit: Int64 = Scrollback.standardLimit, segmentBytes: Int64 = 4 << 20) throws(BerthError)
    {
        self.limit = max(0, limit)
        self.segmentBytes = max(4096, segmentBytes)
        directory = SegmentDirectory(path: path)
        try Directory.make(path)
        let segments = try directory.segments()
        for (segment, next) in zip(segments, segments.dropFirst()) where segment.end != next.start {
            throw BerthError(.internal, "a terminal's files contradict each other", detail: directory.path(of: next))
        }
        state = Mutex(State(segments: segments))
    }

    /// Offsets of the bytes that are kept.
    public var kept: Range<Int64> {
        state.withLock { state in
            (state.segments.first?.start ?? 0)..<(state.segments.last?.end ?? 0)
        }
    }

    public func receive(fromPipe pipe: Int32) throws -> SpoolIntake {
        try state.withLock { state throws(BerthError) in
            if state.segments.last.map({ $0.size >= segmentBytes }) ?? true {
                state.segments.append(Segment(start: state.segments.last?.end ?? 0, size: 0))
                state.current = nil
            }
            let index = state.segments.count - 1
            let segment = state.segments[index]
            let file: OpenFile
            if let current = state.current {
                file = current
            } else {
                file = try OpenFile(path: directory.path(of: segment), flags: O_RDWR | O_CREAT)
                state.current = file
            }
            let room = min(Int64(Self.stepBytes), segmentBytes - segment.size)
            let moved = berth_splice_to_file(pipe, file.descriptor, segment.size, Int(room))
            if moved == 0 { return .ended }
            if moved == -Int(EAGAIN) { return .empty }
            if moved < 0 { throw .file("splice", directory.path, Int32(-moved)) }
            state.segments[index].size += Int64(moved)
            drop(&state)
            return .moved(moved)
        }
    }

    private func drop(_ state: inout State) {
        let floor = (state.segments.last?.end ?? 0) - limit
        while let oldest = state.segments.first, state.segments.count > 1, oldest.end <= floor {
            directory.unlink(oldest)
            state.segments.removeFirst()
        }
    }

    /// Up to `count` bytes from `offset` on, or from the first kept byte where that is later; none at the end.
    /// - Returns: the offset of the first byte returned, and the bytes.
    public func read(from offset: Int64, upTo count: Int) throws(BerthError) -> (offset: Int64, bytes: [UInt8]) {
        try state.withLock { state throws(BerthError) in
            let start = max(offset, state.segments.first?.start ?? 0)
            guard let last = state.segments.last, start < last.end else { return (max(offset, start), []) }
            // Mostly the newest bytes are asked for, and their file is open.
            if let file = state.current, start >= last.start {
                let wanted = min(Int64(count), last.end - start)
                return (start, try file.read(at: start - last.start, count: Int(wanted)))
            }
            return (start, try directory.read(state.segments, from: start, count: count))
        }
    }

    public func remove() throws(BerthError) {
        try state.withLock { state throws(BerthError) in
            state.current = nil
            state.segments = []
            try Directory.remove(directory.path)
        }
    }
}
