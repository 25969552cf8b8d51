import API
import Base
import Client
import Domain
import Glibc
import WorkspaceCalls
import WorkspaceTypes

/// `cp`: files and directories between this machine and a workspace.
enum FileCopyCommand {
    static let command = Command(
        path: ["cp"],
        summary: "Copy a file or a directory into a workspace, or out of it.",
        operands: [
            Operand(name: "FROM", count: .one, about: "a path here, or WORKSPACE:PATH"),
            Operand(name: "TO", count: .one, about: "the other one of the two"),
        ],
        examples: [
            Example(line: "berth cp data fix-login:tests/", about: "The directory, into tests"),
            Example(line: "berth cp fix-login:build/app .", about: "A file, with its mode"),
            Example(line: "berth cp fix-login:docs/. docs", about: "What is in docs"),
        ],
        discussion: """
            A directory that TO names already gets FROM into it, otherwise TO is what FROM becomes; with '/.' behind FROM
            its content goes there. Files that are there are replaced, each as a whole. Symlinks stay symlinks. It all
            streams: neither side keeps it in memory.
            """
    ) { arguments, terminal in
        let (from, to) = (CopyPlace(arguments.operands[0]), CopyPlace(arguments.operands[1]))
        return try await ServerSession.with(arguments, terminal) { session in
            let tally: FileTally
            switch (from.workspace, to.workspace) {
            case (nil, let name?):
                tally = try await session.copy(from.path, to: to.path, of: try await session.workspace(name))
            case (let name?, nil):
                tally = try await session.copy(from.path, of: try await session.workspace(name), to: to.path)
            default:
                throw BerthError(
                    .usage,
                    "one of the two must be WORKSPACE:PATH, the other a path of this machine",
                    remedy: "a path with a colon begins with './'"
                )
            }
            try session.print(tally) { "copied \(tally.summary)\n" }
            return 0
        }
    }
}

/// `WORKSPACE:PATH`, or a path of this machine.
struct CopyPlace: Equatable {
    var workspace: String?
    var path: String

    init(_ text: String) {
        // As scp(1): a slash before the colon makes it a path.
        if let colon = text.firstIndex(of: ":"), colon != text.startIndex, !text[..<colon].contains("/") {
            workspace = String(text[..<colon])
            path = String(text[text.index(after: colon)...])
        } else {
            path = text
        }
    }

    /// The last part of a path; empty for `.`, `..` and the root, whose content is meant.
    static func name(_ path: String) -> String {
        let last = path.split(separator: "/").last.map(String.init) ?? ""
        return last == "." || last == ".." ? "" : last
    }
}

extension ServerSession {
    // MARK: In

    fileprivate func copy(_ local: String, to remote: String, of workspace: String) async throws -> FileTally {
        var status = stat()
        guard fstatat(AT_FDCWD, local, &status, 0) == 0 else { throw Self.localFailure(local) }
        let target = try await target(remote, of: workspace, named: CopyPlace.name(local))
        guard status.st_mode & S_IFMT == S_IFDIR else {
            return try await copy(file: local, status, to: target, of: workspace)
        }
        let pipe = try LocalTreePipe(.download(path: ""), below: local, loop: terminal.loop)
        return try await client.writeTree(target, of: workspace) { try await pipe.next() }
    }

    private func copy(file local: String, _ status: stat, to target: String, of workspace: String) async throws
        -> FileTally
    {
        let file = open(local, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Self.localFailure(local) }
        defer { close(file) }
        let entry = try await client.writeFile(
            target,
            of: workspace,
            query: [("mode", String(status.st_mode & 0o777, radix: 8)), ("parents", "true")]
        ) {
            let bytes = FileBlocks.read(file)
            return bytes.isEmpty ? nil : bytes
        }
        return FileTally(files: 1, bytes: entry.size)
    }

    /// Where something of this name goes: into a directory that is there, else the path itself.
    private func target(_ path: String, of workspace: String, named name: String) async throws -> String {
        let place = path.split(separator: "/").joined(separator: "/")
        let inside = name.isEmpty ? place : place.isEmpty ? name : "\(place)/\(name)"
        if place.isEmpty || path.hasSuffix("/") { return inside }
        do {
            let entry: FileEntry = try await client.call(
                .fileStat,
                path: ["workspaceId": workspace],
                query: [("path", place + "/.")]
            )
            return entry.kind == .directory ? inside : place
        } catch let error as BerthError where [.notFound, .invalidPath].contains(error.code) {
            return place
        }
    }

    // MARK: Out

    fileprivate func copy(_ remote: String, of workspace: String, to local: String) async throws -> FileTally {
        let entry: FileEntry = try await client.call(
            .fileStat,
            path: ["workspaceId": workspace],
            query: [("path", remote)]
        )
        var status = stat()
        let isDirectory = fstatat(AT_FDCWD, local, &status, 0) == 0 && status.st_mode & S_IFMT == S_IFDIR
        let name = CopyPlace.name(remote)
        let target = (isDirectory || local.hasSuffix("/")) && !name.isEmpty ? "\(local)/\(name)" : local
        if entry.kind == .file {
            return try await copy(remote, of: workspace, toFile: target, mode: mode_t(entry.mode, radix: 8) ?? 0o644)
        }
        guard mkdir(target, 0o755) == 0 || errno == EEXIST else { throw Self.localFailure(target) }
        let pipe = try LocalTreePipe(.upload(path: ""), below: target, loop: terminal.loop)
        try await client.readTree(remote, of: workspace) { try await pipe.send($0) }
        return try await pipe.finish()
    }

    /// Beside its place until it is whole.
    private func copy(_ remote: String, of workspace: String, toFile local: String, mode: mode_t) async throws
        -> FileTally
    {
        let part = "\(local).\(getpid()).part"
        let file = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard file >= 0 else { throw Self.localFailure(local) }
        defer {
            close(file)
            unlink(part)
        }
        var count: Int64 = 0
        try await client.readFile(remote, of: workspace) { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let written = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
                guard written > 0 else { throw Self.localFailure(local) }
                rest = rest.dropFirst(written)
            }
            count += Int64(bytes.count)
        }
        guard rename(part, local) == 0 else { throw Self.localFailure(local) }
        return FileTally(files: 1, bytes: count)
    }

    private static func localFailure(_ path: String) -> BerthError {
        let code = errno
        return BerthError(
            code == ENOSPC ? .diskFull : code == ENOENT ? .notFound : .usage,
            "\(path) of this machine: \(String(cString: strerror(code)))"
        )
    }
}
