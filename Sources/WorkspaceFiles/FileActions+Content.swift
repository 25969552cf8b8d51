internal import Base
internal import Glibc
internal import WorkspaceTypes

/// What must hold before a file is written.
struct WriteCondition {
    var ifMatch: String?
    var isNew: Bool

    func check(_ place: WorkspaceTree.Place) throws(BerthError) {
        let known = place.status.map(FileEntry.etag)
        if isNew, known != nil { throw FileCalls.failure("made", place.path, EEXIST) }
        guard let ifMatch, ifMatch != "*" ? ifMatch != known : known == nil else { return }
        throw BerthError(
            .conflict,
            known == nil
                ? "'\(place.path.shown.prefix(200))' is not there any more"
                : "'\(place.path.shown.prefix(200))' was changed meanwhile",
            field: "If-Match",
            remedy: "read it again and repeat the change"
        )
    }
}

extension FileActions {
    func read(_ path: String, offset: Int64, length: Int64?) throws {
        let place = try tree.place(path, follows: true)
        let status = try place.existing()
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw BerthError(
                .invalidPath,
                "'\(place.path.shown.prefix(200))' is no file",
                field: "path",
                remedy: place.isDirectory ? "list it, or fetch it as a tree" : nil
            )
        }
        // Another kind of thing may have taken its place: opening must not wait for a pipe's writer.
        guard
            let file = FileCalls.open(place.directory.descriptor, place.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        else { throw FileCalls.failure("read", place.path) }
        var opened = stat()
        guard fstat(file.descriptor, &opened) == 0, opened.st_mode & S_IFMT == S_IFREG else {
            throw FileCalls.failure("read", place.path, EBUSY)
        }
        try conversation.send(item: FileEntry(place.path, opened, in: place.directory, as: place.name))
        var at = offset
        let end = min(Int64(opened.st_size), length.map { offset.addingReportingOverflow($0).partialValue } ?? .max)
        while at < end {
            let wanted = Int(min(Int64(BulkFrame.pieceBytes), end - at))
            let bytes: [UInt8]
            do {
                bytes = try readBytes(of: file.descriptor, at: at, count: wanted)
            } catch {
                throw FileCalls.failure("read", place.path, error.code)
            }
            guard bytes.count == wanted else {
                throw BerthError(
                    .conflict,
                    "'\(place.path.shown.prefix(200))' became shorter while it was read",
                    field: "path",
                    isRetryable: true
                )
            }
            try conversation.send(data: bytes)
            at += Int64(wanted)
        }
        try conversation.end()
    }

    /// The content goes into a file of another name in the same directory, and takes its place when it is whole.
    func write(_ path: String, condition: WriteCondition, mode: Int?, makesParents: Bool) throws {
        if makesParents { try makeParents(of: path) }
        let place = try tree.place(path, follows: true)
        guard !place.isDirectory else { throw FileCalls.failure("written", place.path, EISDIR) }
        if let status = place.status, status.st_mode & S_IFMT != S_IFREG {
            throw BerthError(.invalidPath, "'\(place.path.shown.prefix(200))' is no file", field: "path")
        }
        // Before the caller sends it all, and again at its end.
        try condition.check(place)
        let rights = place.status.map { $0.st_mode & 0o7777 } ?? mode_t(mode ?? 0o644)
        let part = try PartFile(beside: place, rights: rights)
        while let bytes = try conversation.receive() { try part.append(bytes) }
        try condition.check(try tree.place(path, follows: true))
        try part.keep(replaces: !condition.isNew)
        guard let status = FileCalls.status(place.directory.descriptor, place.name) else {
            throw FileCalls.failure("written", place.path)
        }
        try conversation.end(FileEntry(place.path, status, in: place.directory, as: place.name))
    }
}

/// A file that is not whole yet, beside the place that it will take. Removed unless it is kept.
final class PartFile {
    private let place: WorkspaceTree.Place
    private let name: PathBytes
    private let file: Handle
    private var isKept = false
    private(set) var bytes: Int64 = 0

    init(beside place: WorkspaceTree.Place, rights: mode_t) throws(BerthError) {
        self.place = place
        // The process number is nobody else's for as long as this lives.
        name = Array(".berth-\(getpid())-".utf8) + place.name.prefix(200) + Array(".part".utf8)
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
        // Left by a process of the same number that was killed.
        _ = name.withPath { unlinkat(place.directory.descriptor, $0, 0) }
        guard let file = FileCalls.open(place.directory.descriptor, name, flags, 0o600) else {
            throw FileCalls.failure("written", place.path)
        }
        self.file = file
        guard fchmod(file.descriptor, rights & 0o777) == 0 else { throw FileCalls.failure("written", place.path) }
    }

    func append(_ more: ArraySlice<UInt8>) throws(BerthError) {
        var rest = more
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file.descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileCalls.failure("written", place.path) }
            bytes += Int64(count)
            rest = rest.dropFirst(count)
        }
    }

    /// Gives it its name, durable before that.
    /// - Parameter isDurable: whether to wait for the disk.
    func keep(replaces: Bool, isDurable: Bool = true, modifiedAt: Int64? = nil) throws(BerthError) {
        if let modifiedAt {
            let moment = timespec(tv_sec: Int(modifiedAt), tv_nsec: 0)
            withUnsafePointer(to: (moment, moment)) { pointer in
                _ = pointer.withMemoryRebound(to: timespec.self, capacity: 2) { futimens(file.descriptor, $0) }
            }
        }
        guard !isDurable || fdatasync(file.descriptor) == 0 else { throw FileCalls.failure("written", place.path) }
        let directory = place.directory.descriptor
        let done = name.withPath { from in
            place.name.withPath { to in
                // A link refuses what a rename would replace.
                replaces ? renameat(directory, from, directory, to) : linkat(directory, from, directory, to, 0)
            }
        }
        guard done == 0 else { throw FileCalls.failure("written", place.path) }
        isKept = replaces
    }

    deinit {
        if !isKept { _ = name.withPath { unlinkat(place.directory.descriptor, $0, 0) } }
    }
}
