internal import Base
internal import Glibc
internal import WorkspaceTypes

/// Writes a directory, or one file, as a tar archive. Nothing is followed; what is neither file, directory nor symlink is
/// left out.
struct TreePacker {
    let put: ([UInt8]) throws -> Void
    private(set) var tally = FileTally()

    init(_ put: @escaping ([UInt8]) throws -> Void) { self.put = put }

    /// The content of a directory, under names relative to it.
    mutating func pack(directory: Handle) throws {
        try pack(directory, [])
        try put(TarFormat.trailer)
    }

    /// One thing alone, under its own name.
    mutating func pack(_ name: PathBytes, in directory: Handle) throws {
        try pack(name, in: directory, as: name)
        try put(TarFormat.trailer)
    }

    private mutating func pack(_ directory: Handle, _ path: PathBytes) throws {
        guard let names = FileCalls.names(directory) else { throw FileCalls.failure("read", path) }
        for name in names { try pack(name, in: directory, as: path.appending(name)) }
    }

    private mutating func pack(_ name: PathBytes, in directory: Handle, as path: PathBytes) throws {
        // Gone since the directory was read.
        guard let status = FileCalls.status(directory.descriptor, name) else { return }
        var member = TarMember(
            path: path,
            kind: .file,
            size: 0,
            mode: Int(status.st_mode & 0o7777),
            modifiedAt: Int64(status.st_mtim.tv_sec)
        )
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            guard let inner = FileCalls.open(directory.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else {
                throw FileCalls.failure("read", path)
            }
            member.kind = .directory
            try put(TarFormat.header(member))
            tally.directories += 1
            try pack(inner, path)
        case S_IFLNK:
            guard let target = FileCalls.target(directory.descriptor, name) else { return }
            member.kind = .symlink(target: target)
            try put(TarFormat.header(member))
            tally.symlinks += 1
        case S_IFREG: try pack(file: name, in: directory, &member)
        default: break
        }
    }

    private mutating func pack(file name: PathBytes, in directory: Handle, _ member: inout TarMember) throws {
        guard let file = FileCalls.open(directory.descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) else {
            if errno == ENOENT { return }
            throw FileCalls.failure("read", member.path)
        }
        var opened = stat()
        guard fstat(file.descriptor, &opened) == 0, opened.st_mode & S_IFMT == S_IFREG else { return }
        member.size = Int64(opened.st_size)
        try put(TarFormat.header(member))
        var at: Int64 = 0
        while at < member.size {
            let wanted = Int(min(Int64(BulkFrame.pieceBytes), member.size - at))
            let bytes: [UInt8]
            do {
                bytes = try readBytes(of: file.descriptor, at: at, count: wanted)
            } catch {
                throw FileCalls.failure("read", member.path, error.code)
            }
            // Its header has promised so many bytes.
            guard bytes.count == wanted else {
                throw BerthError(
                    .conflict,
                    "'\(member.path.shown.prefix(200))' became shorter while it was read",
                    isRetryable: true
                )
            }
            try put(bytes)
            at += Int64(wanted)
        }
        let padding = TarFormat.padding(after: member.size)
        if padding > 0 { try put([UInt8](repeating: 0, count: padding)) }
        tally.files += 1
        tally.bytes += member.size
    }
}
