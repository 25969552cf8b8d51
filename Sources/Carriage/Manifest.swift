internal import Base

/// What a checkout is, besides its objects and files. Never a secret's value.
public struct Manifest: Sendable, Equatable, Codable {
    /// Of this format; another one is refused.
    public static let version = 1

    public struct Reference: Sendable, Equatable, Codable {
        /// Full: `refs/heads/main`.
        public var name: String
        public var object: String
    }

    public struct Stash: Sendable, Equatable, Codable {
        public var object: String
        public var message: String
    }

    public struct Setting: Sendable, Equatable, Codable {
        public var key: String
        public var value: String
    }

    public var version: Int
    /// Where it lay, absolute.
    public var checkout: String
    /// Of the agent's user there.
    public var home: String
    /// The branch that HEAD names, full; nil where it is detached.
    public var headReference: String?
    /// nil before the first commit.
    public var headCommit: String?
    public var references: [Reference]
    /// Such as `refs/remotes/origin/HEAD`.
    public var symbolicReferences: [Reference]
    /// Newest first.
    public var stashes: [Stash]
    public var settings: [Setting]
    /// SHA-256 of what `git status` and `git ls-files` say of it, hexadecimal.
    public var statusDigest: String
    public var indexDigest: String
}

/// What is to be packed, and where to.
public struct PackOrder: Sendable, Equatable, Codable {
    /// Absolute.
    public var checkout: String
    public var home: String
    /// `PATH`.
    public var programs: String
    /// Written from its start.
    public var file: String
    /// Commits and tags that the other side has; those unknown here are passed over.
    public var known: [String]
    public var includesIgnored: Bool
    /// Bytes of ignored files at most.
    public var ignoredLimit: Int64
    /// Bytes of files that are not committed, at most.
    public var limit: Int64

    public init(
        checkout: String,
        home: String,
        programs: String,
        file: String,
        known: [String],
        includesIgnored: Bool,
        ignoredLimit: Int64,
        limit: Int64
    ) {
        self.checkout = checkout
        self.home = home
        self.programs = programs
        self.file = file
        self.known = known
        self.includesIgnored = includesIgnored
        self.ignoredLimit = ignoredLimit
        self.limit = limit
    }
}

/// What was packed, for people.
public struct PackSummary: Sendable, Equatable, Codable {
    public var branch: String?
    public var head: String?
    public var packBytes: Int64
    /// Files that differ from the index, untracked ones among them.
    public var files: Int
    public var untracked: Int
    public var staged: Int
    public var stashes: Int
    public var transcripts: Int
    /// Ignored files and directories that stay.
    public var leftBehind: [String]
    /// What cannot travel: sockets, pipes, devices.
    public var skipped: [String]
}

/// Where a checkout is to be made again, first beside its final place.
public struct RestoreOrder: Sendable, Equatable, Codable {
    /// What ``PackOrder/file`` was, read from its start.
    public var file: String
    /// The directory of workspaces.
    public var root: String
    /// Of the checkout, below the root.
    public var directory: String
    /// Names the attempt, so that two never share files.
    public var token: String
    public var home: String
    public var programs: String
    /// A bare repository that objects are borrowed from; never removed while the checkout lives.
    public var mirror: String?
    /// An earlier checkout of the same user whose objects are linked.
    public var twin: String?

    public init(
        file: String,
        root: String,
        directory: String,
        token: String,
        home: String,
        programs: String,
        mirror: String?,
        twin: String?
    ) {
        self.file = file
        self.root = root
        self.directory = directory
        self.token = token
        self.home = home
        self.programs = programs
        self.mirror = mirror
        self.twin = twin
    }

    public var checkout: String { "\(root)/\(directory)" }
    /// Becomes the checkout.
    var part: String { "\(root)/.\(directory).\(token).part" }
    /// The agents' memory, until the checkout is in its place.
    var memory: String { part + "/.git/berth/memory" }
    /// Tells which hand-over brought a checkout.
    func mark(_ checkout: String) -> String { checkout + "/.git/berth/token" }
    /// Where an earlier version of the checkout goes.
    public var earlier: String { "\(root)/.\(directory).\(token).earlier" }
}
