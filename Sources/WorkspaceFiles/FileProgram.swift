internal import Base
internal import Glibc
internal import WorkspaceCalls
internal import WorkspaceTypes

/// One request about the files of a workspace, carried out as the user and within the sandbox that this process has: what
/// the user may not do, the kernel refuses. Standard input is a socket that carries the stream both ways.
public enum FileProgram {
    /// The word after the worker's name.
    public static let word = "files"

    /// - Parameter arguments: the checkout's path, the ``FileAction`` as JSON, `PATH` for git.
    public static func run(_ arguments: [String]) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        umask(0o022)
        let conversation = FileConversation(socket: 0)
        do {
            guard arguments.count == 2 else { throw BerthError(.usage, "the file program is called by the worker") }
            let action = try JSONText.decode(FileAction.self, from: Array(arguments[1].utf8))
            try FileActions(tree: try WorkspaceTree(arguments[0]), conversation: conversation).perform(action)
            return 0
        } catch is FileConversation.Gone {
            return 0
        } catch {
            conversation.refuse(BerthError(wrapping: error))
            return 1
        }
    }
}

struct FileActions {
    let tree: WorkspaceTree
    let conversation: FileConversation

    func perform(_ action: FileAction) throws {
        switch action {
        case .list(let path, let depth, let limit): try conversation.end(try list(path, depth: depth, limit: limit))
        case .stat(let path):
            let place = try tree.place(path, follows: false)
            try conversation.end(FileEntry(place, try place.existing()))
        case .read(let path, let offset, let length): try read(path, offset: offset, length: length)
        case .write(let path, let ifMatch, let isNew, let mode, let makesParents):
            try write(
                path,
                condition: WriteCondition(ifMatch: ifMatch, isNew: isNew),
                mode: mode,
                makesParents: makesParents
            )
        case .makeDirectory(let path, let makesParents):
            try conversation.end(try makeDirectory(path, makesParents: makesParents))
        case .move(let from, let to, let replaces): try conversation.end(try move(from, to: to, replaces: replaces))
        case .remove(let path, let isRecursive): try conversation.end(try remove(path, isRecursive: isRecursive))
        case .find(let search): try conversation.end(try find(search))
        case .watch(let path): try watch(path)
        case .download(let path): try download(path)
        case .upload(let path): try upload(path)
        }
    }
}

extension FileEntry {
    init(_ place: WorkspaceTree.Place, _ status: stat) {
        self.init(place.path, status, in: place.directory, as: place.name)
    }

    init(_ path: PathBytes, _ status: stat, in directory: Handle, as name: PathBytes) {
        let kind: Kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFLNK: .symlink
            default: .other
            }
        self.init(
            path: path.shown,
            kind: kind,
            size: kind == .file ? Int64(status.st_size) : 0,
            mode: String(status.st_mode & 0o7777, radix: 8),
            modifiedAt: Timestamp(
                milliseconds: Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000
            ),
            etag: kind == .file ? Self.etag(status) : nil,
            target: kind == .symlink ? FileCalls.target(directory.descriptor, name)?.shown : nil
        )
    }

    /// The moment of the last change of anything, the length, and which file it is.
    static func etag(_ status: stat) -> String {
        [
            Int64(status.st_ctim.tv_sec), Int64(status.st_ctim.tv_nsec), Int64(status.st_size),
            Int64(bitPattern: UInt64(status.st_ino)),
        ].map { String($0, radix: 36) }.joined(separator: "-")
    }
}
