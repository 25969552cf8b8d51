public import Base
internal import Glibc

/// Writes entries to an open file, one after the other.
public struct EntryWriter: Sendable {
    public let file: CInt

    /// - Parameter file: stays the caller's.
    public init(_ file: CInt) { self.file = file }

    public func put(_ kind: Entry.Kind, path: [UInt8] = [], mode: UInt32 = 0o644, _ payload: [UInt8] = [])
        throws(BerthError)
    {
        try OpenedFile.write(Entry(kind, path: path, mode: mode, size: Int64(payload.count)).head + path, to: file)
        try OpenedFile.write(payload, to: file)
    }

    /// The whole of an open file.
    public func put(_ kind: Entry.Kind, path: [UInt8], mode: UInt32, contentOf source: CInt, size: Int64)
        throws(BerthError)
    {
        try OpenedFile.write(Entry(kind, path: path, mode: mode, size: size).head + path, to: file)
        var rest = size
        while rest > 0 {
            let bytes = try OpenedFile.read(source, upTo: Int(min(rest, 1 << 18)))
            guard !bytes.isEmpty else {
                throw BerthError(
                    .conflict,
                    "'\(String(decoding: path, as: UTF8.self))' became shorter while it was read",
                    remedy: "stop what writes to the workspace, then try again"
                )
            }
            try OpenedFile.write(bytes, to: file)
            rest -= Int64(bytes.count)
        }
    }

    /// What `body` writes to the file becomes the payload.
    /// - Returns: how many bytes that were.
    public func put(_ kind: Entry.Kind, writing body: (CInt) throws -> Void) throws -> Int64 {
        let start = lseek(file, 0, SEEK_END)
        try put(kind)
        try body(file)
        let end = lseek(file, 0, SEEK_END)
        let size = end - start - Entry.headLength
        let head = Entry(kind, size: Int64(size)).head
        guard pwrite(file, head, head.count, start) == head.count else { throw OpenedFile.failure("written") }
        return Int64(size)
    }
}

/// Reads entries from an open file.
public struct EntryReader: ~Copyable {
    private let file: CInt
    /// Of the payload before the next entry.
    private var rest: Int64 = 0
    private var hasEnded = false

    public init(_ file: CInt) { self.file = file }

    /// nil after the last one. What was not read of the one before is passed over.
    public mutating func next() throws(BerthError) -> Entry? {
        if hasEnded { return nil }
        if rest > 0, lseek(file, Int(rest), SEEK_CUR) < 0 { throw Entry.damaged("a part is missing") }
        var (entry, length) = try Entry.parse(head: try exactly(Entry.headLength))
        entry.path = try exactly(length)
        rest = entry.size
        if entry.kind == .end {
            hasEnded = true
            return nil
        }
        return entry
    }

    /// Up to `count` bytes of the present entry's payload; none at its end.
    public mutating func read(upTo count: Int) throws(BerthError) -> [UInt8] {
        let wanted = Int(min(Int64(count), rest))
        guard wanted > 0 else { return [] }
        let bytes = try OpenedFile.read(file, upTo: wanted)
        guard !bytes.isEmpty else { throw Entry.damaged("it ends too early") }
        rest -= Int64(bytes.count)
        return bytes
    }

    /// The rest of the payload, at most `limit` bytes.
    public mutating func whole(upTo limit: Int) throws(BerthError) -> [UInt8] {
        guard rest <= limit else { throw Entry.damaged("a part is longer than \(limit) bytes") }
        var bytes: [UInt8] = []
        while rest > 0 { bytes += try read(upTo: 1 << 18) }
        return bytes
    }

    private func exactly(_ count: Int) throws(BerthError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = try OpenedFile.read(file, upTo: count - bytes.count)
            guard !more.isEmpty else { throw Entry.damaged("it ends too early") }
            bytes += more
        }
        return bytes
    }
}

/// Calls on open files, with typed errors.
public enum OpenedFile {
    public static func write(_ bytes: [UInt8], to file: CInt) throws(BerthError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("written") }
            sent += count
        }
    }

    /// Fewer than `count` at the end only where the file is not one on disk; none at its end.
    public static func read(_ file: CInt, upTo count: Int) throws(BerthError) -> [UInt8] {
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while true {
                let got = Glibc.read(file, buffer.baseAddress, count)
                if got < 0, errno == EINTR { continue }
                failed = got < 0
                filled = max(0, got)
                return
            }
        }
        if failed { throw failure("read") }
        return bytes
    }

    /// What was written to a file, or to the names of a directory, survives a loss of power. One that is not there is
    /// passed over.
    static func sync(_ path: String) throws(BerthError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        guard fsync(file) == 0 else { throw failure("written", path) }
    }

    /// By `errno`.
    public static func failure(_ verb: String, _ path: String? = nil) -> BerthError {
        let code = errno
        let isFull = code == ENOSPC || code == EDQUOT
        return BerthError(
            isFull ? .diskFull : .internal,
            isFull
                ? "the environment's disk has no room for the hand-over"
                : "\(path.map { "'\($0)'" } ?? "a file of the hand-over") cannot be \(verb)",
            remedy: isFull ? "free space in the environment or give it a larger disk" : nil,
            detail: "errno \(code)"
        )
    }
}

extension EntryWriter {
    /// A file by its path; links are not followed. One that went away meanwhile is left out.
    func put(_ kind: Entry.Kind, path: [UInt8] = [], file place: String) throws(BerthError) {
        let source = open(place, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard source >= 0 else {
            if errno == ENOENT { return }
            throw OpenedFile.failure("read", place)
        }
        defer { close(source) }
        try put(kind, path: path, opened: source)
    }

    func put(_ kind: Entry.Kind, path: [UInt8], opened source: CInt) throws(BerthError) {
        var status = stat()
        guard fstat(source, &status) == 0 else { throw OpenedFile.failure("read") }
        try put(kind, path: path, mode: status.st_mode & 0o777, contentOf: source, size: Int64(status.st_size))
    }
}
