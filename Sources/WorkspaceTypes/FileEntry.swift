public import Base

/// One thing in a workspace's checkout, as lstat(2) tells of it.
public struct FileEntry: Sendable, Codable, Equatable {
    public enum Kind: String, Sendable, Codable {
        case file, directory, symlink, other
    }

    /// Within the workspace, parts divided by `/`; empty for the checkout itself. A name that is not UTF-8 is shown with
    /// U+FFFD in its place and can be reached only through its directory.
    public var path: String
    public var kind: Kind
    /// Bytes of a file.
    public var size: Int64
    /// Permission bits in octal, such as `644`.
    public var mode: String
    public var modifiedAt: Timestamp
    /// Of a file: changes whenever its content, name or rights change.
    public var etag: String?
    /// Where a symlink points, as it is written.
    public var target: String?

    public init(
        path: String,
        kind: Kind,
        size: Int64,
        mode: String,
        modifiedAt: Timestamp,
        etag: String? = nil,
        target: String? = nil
    ) {
        self.path = path
        self.kind = kind
        self.size = size
        self.mode = mode
        self.modifiedAt = modifiedAt
        self.etag = etag
        self.target = target
    }
}

/// What is in a directory.
public struct FileListing: Sendable, Codable, Equatable {
    /// By path.
    public var items: [FileEntry]
    /// There is more than was asked for.
    public var isTruncated: Bool

    public init(items: [FileEntry], isTruncated: Bool) {
        self.items = items
        self.isTruncated = isTruncated
    }
}

/// A file whose name, or a line whose text, fits what was searched for.
public struct FileMatch: Sendable, Codable, Equatable {
    public var path: String
    /// From 1; nil where the name fits.
    public var line: Int?
    /// From 1, in bytes.
    public var column: Int?
    /// The line, at most 400 bytes of it.
    public var text: String?

    public init(path: String, line: Int? = nil, column: Int? = nil, text: String? = nil) {
        self.path = path
        self.line = line
        self.column = column
        self.text = text
    }
}

public struct FileMatches: Sendable, Codable, Equatable {
    public var items: [FileMatch]
    public var isTruncated: Bool

    public init(items: [FileMatch], isTruncated: Bool) {
        self.items = items
        self.isTruncated = isTruncated
    }
}

/// What became different below a watched directory. Several changes of one thing within 50 ms are one.
public struct FileChange: Sendable, Codable, Equatable {
    public enum Kind: String, Sendable, Codable {
        /// It is there now and was not: made, or moved here.
        case created
        /// Its content or its rights.
        case changed
        /// It was removed, or moved away.
        case removed
        /// More happened than could be told: look at everything below `path` again.
        case overflowed
    }

    public var path: String
    public var kind: Kind

    public init(path: String, kind: Kind) {
        self.path = path
        self.kind = kind
    }
}

/// What an upload has written, a removal removed.
public struct FileTally: Sendable, Codable, Equatable {
    public var files: Int
    public var directories: Int
    public var symlinks: Int
    /// Of files' content.
    public var bytes: Int64

    public init(files: Int = 0, directories: Int = 0, symlinks: Int = 0, bytes: Int64 = 0) {
        self.files = files
        self.directories = directories
        self.symlinks = symlinks
        self.bytes = bytes
    }
}
