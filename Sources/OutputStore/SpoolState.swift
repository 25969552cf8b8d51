internal import Base
internal import CSplice
internal import Glibc
internal import OpenSSL

/// A ``Spool``'s files and figures; used under its lock only.
struct SpoolState {
    private let directory: SegmentDirectory
    private let limits: SpoolLimits
    private var segments: [Segment] = []
    private var current: OpenFile?
    /// Covers every byte so far.
    private var digest = SHA256()
    /// The digest's offset in the stored checkpoint: no byte from there on may be removed.
    private var checkpointOffset: Int64 = 0
    private var acknowledged: Int64 = 0
    private(set) var mark: OutputMark?
    private var watchers = GrowthWatchers()

    init(path: String, limits: SpoolLimits) throws(BerthError) {
        directory = SegmentDirectory(path: path)
        self.limits = limits
        // Made with the first byte: most streams stay empty, and every file costs its making and its removal.
        if access(path, F_OK) != 0, errno == ENOENT { return }
        segments = try directory.segments()
        if let bytes = try Directory.contents("\(path)/end") {
            mark = try OutputMark(fileText: String(decoding: bytes, as: UTF8.self))
        }
        if let bytes = try Directory.contents("\(path)/\(SpoolCheckpoint.name)") {
            digest = try SpoolCheckpoint(bytes: bytes).digest
            checkpointOffset = digest.byteCount
        }
        if mark == nil { try catchUp() }
    }

    var totalBytes: Int64 { mark?.totalBytes ?? digest.byteCount }

    var length: Int64 { mark?.storedBytes ?? min(totalBytes, limits.headBytes) }

    /// Takes into the digest what the files hold beyond the checkpoint.
    private mutating func catchUp() throws(BerthError) {
        for (segment, next) in zip(segments, segments.dropFirst()) where segment.end != next.start {
            // Kept head before a dropped middle is the only hole there may be.
            guard segment.end <= limits.headBytes, next.start <= checkpointOffset else { throw Self.damaged }
        }
        guard let last = segments.last else {
            if checkpointOffset > 0 { throw Self.damaged }
            return
        }
        guard last.end >= checkpointOffset else { throw Self.damaged }
        while digest.byteCount < last.end {
            let bytes = try directory.read(segments, from: digest.byteCount, count: 256 << 10)
            if bytes.isEmpty { throw Self.damaged }
            digest.update(bytes)
        }
    }

    private static var damaged: BerthError { BerthError(.internal, "a spool's files contradict each other") }

    mutating func receive(fromPipe pipe: Int32, limit: Int) throws(BerthError) -> SpoolIntake {
        if mark != nil { return .ended }
        if segments.isEmpty {
            if berth_bytes_waiting(pipe) <= 0 { return berth_pipe_is_over(pipe) == 1 ? .ended : .empty }
            try Directory.make(directory.path)
        }
        if segments.last.map({ limits.room(start: $0.start, size: $0.size) <= 0 }) ?? true {
            try dropUnneeded()
            segments.append(Segment(start: digest.byteCount, size: 0))
            current = nil
        }
        let index = segments.count - 1
        let file = try openCurrent()
        let segment = segments[index]
        let room = min(Int64(limit), limits.room(start: segment.start, size: segment.size))
        let moved = berth_splice_to_file(pipe, file.descriptor, segment.size, Int(room))
        if moved == 0 { return .ended }
        if moved < 0 {
            if moved == -Int(EAGAIN) { return .empty }
            throw .file("splice", directory.path, Int32(-moved))
        }
        segments[index].size += Int64(moved)
        var hashed = 0
        while hashed < moved {
            let bytes = try file.read(at: segment.size + Int64(hashed), count: min(moved - hashed, 128 << 10))
            if bytes.isEmpty { throw Self.damaged }
            digest.update(bytes)
            hashed += bytes.count
        }
        return .moved(moved)
    }

    private mutating func openCurrent() throws(BerthError) -> OpenFile {
        if let current { return current }
        let path = directory.path(of: segments[segments.count - 1])
        let opened = try OpenFile(path: path, flags: O_RDWR | O_CREAT)
        current = opened
        return opened
    }

    /// Whether nothing will ask for these bytes again.
    private func isUnneeded(_ segment: Segment) -> Bool {
        if segment.start >= limits.headBytes { return segment.end <= digest.byteCount - limits.tailBytes }
        return segment.end <= acknowledged
    }

    private mutating func dropUnneeded() throws(BerthError) {
        let overflow = segments.dropLast().filter { $0.start >= limits.headBytes && isUnneeded($0) }
        if overflow.reduce(0, { $0 + $1.size }) > limits.slackBytes { try drop() }
    }

    /// Stores a checkpoint, then removes every file that is not needed, except the last one, whose end is the total.
    private mutating func drop() throws(BerthError) {
        let unneeded = segments.dropLast().filter(isUnneeded)
        guard !unneeded.isEmpty else { return }
        let checkpoint = SpoolCheckpoint(digest: digest)
        try Directory.replace("\(directory.path)/\(SpoolCheckpoint.name)", with: checkpoint.bytes, files: .system)
        checkpointOffset = checkpoint.offset
        for segment in unneeded { directory.unlink(segment) }
        segments.removeAll { unneeded.contains($0) }
    }

    mutating func acknowledge(upTo offset: Int64) throws(BerthError) {
        acknowledged = max(acknowledged, min(offset, length))
        if mark == nil, segments.dropLast().contains(where: { $0.start < limits.headBytes && isUnneeded($0) }) {
            try drop()
        }
    }

    mutating func finish() throws(BerthError) -> OutputMark {
        if let mark { return mark }
        let stored = limits.stored(of: totalBytes)
        let mark = OutputMark(
            totalBytes: totalBytes,
            storedHead: stored.head,
            storedTail: stored.tail,
            sha256: Hex.encode(digest.digest)
        )
        if totalBytes > 0 {
            // Of use only while the holder lives, so loss of power needs no answer: an fsync here would cost every short
            // run more than all the rest. Without room the files alone tell the same mark.
            do {
                try Directory.replace(
                    "\(directory.path)/end",
                    with: Array(mark.fileText.utf8),
                    files: .system,
                    isDurable: false
                )
            } catch  where error.code != .diskFull {
                throw error
            }
        }
        self.mark = mark
        current = nil
        return mark
    }

    mutating func remove() throws(BerthError) {
        current = nil
        segments = []
        try Directory.remove(directory.path)
    }

    func read(from offset: Int64, count: Int) throws(BerthError) -> [UInt8] {
        guard (0...length).contains(offset) else {
            throw BerthError(.notFound, "offset \(offset) is beyond the \(length) stored bytes")
        }
        let head = min(totalBytes, limits.headBytes)
        var result: [UInt8] = []
        if offset < head {
            let wanted = Int(min(Int64(count), head - offset))
            result = try directory.read(segments, from: offset, count: wanted)
            if result.count < wanted {
                throw BerthError(.notFound, "bytes from \(offset) on were acknowledged and removed")
            }
        }
        let position = offset + Int64(result.count)
        if let mark, result.count < count, position < length {
            let source = mark.totalBytes - mark.storedTail + (position - mark.storedHead)
            result += try directory.read(segments, from: source, count: count - result.count)
        }
        return result
    }
}

// Waiting for growth.
extension SpoolState {
    mutating func watch(id: UInt64, beyond offset: Int64, _ continuation: GrowthWatchers.Continuation) -> Growth? {
        if length > offset { return .grown(length) }
        if let mark { return .finished(mark) }
        watchers.add(id: id, beyond: offset, continuation)
        return nil
    }

    mutating func removeWatcher(id: UInt64) -> GrowthWatchers.Continuation? { watchers.remove(id: id) }

    mutating func takeWatchers() -> [GrowthWatchers.Continuation] { watchers.take(length: length) }

    mutating func takeAllWatchers() -> [GrowthWatchers.Continuation] { watchers.takeAll() }
}
