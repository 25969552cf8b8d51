internal import Base
public import WorkerProtocol
internal import WorkspaceTypes

/// Something to do with the files of a workspace: a stream of ``BulkFrame``s both ways. Carried out by a program of its own
/// as the environment's user.
public struct FileRequest: ServiceCall, Equatable {
    public static let service = "files"
    public typealias Answer = ServiceDone

    /// The checkout, below the environment's workspaces.
    public var directory: String
    public var action: FileAction

    public init(directory: String, action: FileAction) {
        self.directory = directory
        self.action = action
    }
}

/// Paths are within the workspace, divided by `/`; symlinks are followed as long as they stay there. What the end of each
/// carries is written beside it.
public enum FileAction: Sendable, Codable, Equatable {
    /// ``FileListing``: what is below a directory, so many levels deep.
    case list(path: String, depth: Int, limit: Int)
    /// ``FileEntry`` of the thing itself; a symlink is not followed.
    case stat(path: String)
    /// Begins with ``FileEntry`` as item, then data; ends empty. `length` nil: to its end.
    case read(path: String, offset: Int64, length: Int64?)
    /// Takes data and an end, and ends with the ``FileEntry``. The file has its old content until then.
    /// - Parameters:
    ///   - ifMatch: the entity tag that it must have.
    ///   - isNew: it must not be there yet.
    ///   - mode: permission bits of a new file; one that is there keeps its own.
    case write(path: String, ifMatch: String?, isNew: Bool, mode: Int?, makesParents: Bool)
    /// ``FileEntry``. One that is there already is as good.
    case makeDirectory(path: String, makesParents: Bool)
    /// ``FileEntry`` at its new place. Without `replaces` nothing may be there.
    case move(from: String, to: String, replaces: Bool)
    /// ``FileTally`` of what was removed.
    case remove(path: String, isRecursive: Bool)
    /// ``FileMatches``.
    case find(FileSearch)
    /// Items of ``FileChange`` lists, the first one empty when everything is watched. Ends only by an error.
    case watch(path: String)
    /// Data: the directory, or file, as a tar archive (POSIX.1-2001, pax). Ends with a ``FileTally``.
    case download(path: String)
    /// Takes a tar archive as data and an end, unpacks it below a directory, and ends with a ``FileTally``.
    case upload(path: String)
}

public struct FileSearch: Sendable, Codable, Equatable {
    /// Below this directory.
    public var path: String
    /// What a file's path must contain, or, with `*`, `?` or `[`, its name or path must be (glob(7)).
    public var name: String?
    /// What a line must contain.
    public var text: String?
    /// `text` is an extended regular expression (regex(7)).
    public var isPattern: Bool
    public var ignoresCase: Bool
    /// Also what `.gitignore` names.
    public var includesIgnored: Bool
    public var limit: Int

    public init(
        path: String,
        name: String? = nil,
        text: String? = nil,
        isPattern: Bool = false,
        ignoresCase: Bool = false,
        includesIgnored: Bool = false,
        limit: Int
    ) {
        self.path = path
        self.name = name
        self.text = text
        self.isPattern = isPattern
        self.ignoresCase = ignoresCase
        self.includesIgnored = includesIgnored
        self.limit = limit
    }
}
