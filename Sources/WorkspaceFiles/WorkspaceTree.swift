internal import Base
internal import Glibc

/// A checkout that no path leads out of. Every part of a path is opened by itself, relative to the one before, without the
/// kernel following a symlink; symlinks are read and walked here, so a directory that is replaced by a symlink in between
/// leads nowhere either.
struct WorkspaceTree {
    let root: Handle
    /// Absolute, without symlinks: symlinks with an absolute target may lead here.
    let path: PathBytes

    private static let maximumLinks = 40
    private static let maximumPath = 4096
    /// Each directory on the way is held open, and a process has 1024 descriptors.
    private static let maximumDepth = 255

    /// Throws `not_found` where there is no such directory.
    init(_ path: String) throws(BerthError) {
        guard let resolved = realpath(path, nil) else { throw Self.missing }
        defer { free(resolved) }
        self.path = PathBytes(String(cString: resolved).utf8)
        guard let root = FileCalls.open(AT_FDCWD, self.path, O_RDONLY | O_DIRECTORY) else { throw Self.missing }
        self.root = root
    }

    private static var missing: BerthError {
        BerthError(
            .notFound,
            "the workspace has no checkout in its environment",
            field: "workspaceId",
            remedy: "see 'berth ws show'; its first run makes it"
        )
    }

    /// A place in the tree: a name in an open directory. Whether something is there tells ``status``.
    struct Place {
        var directory: Handle
        /// `.` for the directory itself.
        var name: PathBytes
        /// From the root, without symlinks and dots.
        var path: PathBytes
        /// nil: nothing is there.
        var status: stat?

        var isRoot: Bool { path.isEmpty }

        func existing() throws(BerthError) -> stat {
            guard let status else { throw FileCalls.failure("used", path, ENOENT) }
            return status
        }

        var isDirectory: Bool { status.map { $0.st_mode & S_IFMT == S_IFDIR } ?? false }
    }

    /// Throws `invalid_path` with the symlink's name where the path would leave the tree, `not_found` where a directory on
    /// the way is missing.
    /// - Parameter follows: whether a symlink at the end stands for what it points to.
    func place(_ text: String, follows: Bool, field: String = "path") throws(BerthError) -> Place {
        var parts = try relative(PathBytes(text.utf8), text, field)
        var stack: [(handle: Handle, name: PathBytes)] = []
        var links = 0
        func current() -> Handle { stack.last?.handle ?? root }
        func path() -> PathBytes { PathBytes(stack.map(\.name).joined(separator: [UInt8(ascii: "/")])) }
        while let part = parts.popLast() {
            if part == Array("..".utf8) {
                guard stack.popLast() != nil else { throw Self.outside(text, nil, field) }
                continue
            }
            let here = path().appending(part)
            guard let status = FileCalls.status(current().descriptor, part) else {
                let code = errno
                guard code == ENOENT, parts.isEmpty else { throw FileCalls.failure("reached", here, code) }
                return Place(directory: current(), name: part, path: here, status: nil)
            }
            switch status.st_mode & S_IFMT {
            case S_IFLNK where follows || !parts.isEmpty:
                links += 1
                guard links <= Self.maximumLinks else { throw FileCalls.failure("reached", here, ELOOP) }
                guard let target = FileCalls.target(current().descriptor, part) else {
                    throw FileCalls.failure("read", here)
                }
                if target.first == UInt8(ascii: "/") {
                    guard isWithin(target) else { throw Self.outside(text, here, field) }
                    stack = []
                    parts += Self.parts(target.dropFirst(self.path.count))
                } else {
                    // More `..` than there are directories above: refused with the symlink's name, not the whole path's.
                    let wanted = Self.parts(target[...])
                    guard !leaves(wanted, depth: stack.count) else { throw Self.outside(text, here, field) }
                    parts += wanted
                }
            case S_IFDIR:
                guard
                    let next = FileCalls.open(current().descriptor, part, openPathOnly | O_DIRECTORY | O_NOFOLLOW)
                else { throw FileCalls.failure("opened", here) }
                if parts.isEmpty { return Place(directory: current(), name: part, path: here, status: status) }
                stack.append((next, part))
            default:
                guard parts.isEmpty else { throw FileCalls.failure("reached", here, ENOTDIR) }
                return Place(directory: current(), name: part, path: here, status: status)
            }
        }
        // The root, or a path that ends in dots or in a symlink to a directory above.
        let dot = Array(".".utf8)
        return Place(
            directory: current(),
            name: dot,
            path: path(),
            status: FileCalls.status(current().descriptor, dot)
        )
    }

    /// A directory, open for reading.
    func directory(_ place: Place) throws(BerthError) -> Handle {
        let status = try place.existing()
        guard status.st_mode & S_IFMT == S_IFDIR else { throw FileCalls.failure("opened", place.path, ENOTDIR) }
        guard let handle = FileCalls.open(place.directory.descriptor, place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        else { throw FileCalls.failure("opened", place.path) }
        return handle
    }

    /// In the order of popping: the last is walked first. An absolute path to the tree counts from its root.
    private func relative(_ bytes: PathBytes, _ text: String, _ field: String) throws(BerthError) -> [PathBytes] {
        guard bytes.count <= Self.maximumPath, !bytes.contains(0) else {
            throw BerthError(
                .invalidPath,
                "'\(text.prefix(80))' is no path",
                field: field,
                remedy: "at most \(Self.maximumPath) bytes, without NUL"
            )
        }
        if bytes.first == UInt8(ascii: "/"), !isWithin(bytes) { throw Self.outside(text, nil, field) }
        let parts = Self.parts(bytes.first == UInt8(ascii: "/") ? bytes.dropFirst(path.count) : bytes[...])
        guard parts.count <= Self.maximumDepth else {
            throw BerthError(
                .invalidPath,
                "'\(text.prefix(80))…' is \(parts.count) directories deep",
                field: field,
                remedy: "at most \(Self.maximumDepth); a terminal or 'berth ssh' reaches what lies deeper"
            )
        }
        return parts
    }

    /// Throws `invalid_path` for what cannot be a path here, whatever is there.
    func check(_ text: String, field: String = "path") throws(BerthError) {
        _ = try relative(PathBytes(text.utf8), text, field)
    }

    private static func parts(_ bytes: ArraySlice<UInt8>) -> [PathBytes] {
        bytes.split(separator: UInt8(ascii: "/")).map(PathBytes.init).filter { $0 != [UInt8(ascii: ".")] }.reversed()
    }

    private func isWithin(_ bytes: PathBytes) -> Bool {
        bytes.starts(with: path) && (bytes.count == path.count || bytes[path.count] == UInt8(ascii: "/"))
    }

    /// Whether a target climbs above the root at once.
    private func leaves(_ parts: [PathBytes], depth: Int) -> Bool {
        parts.reversed().prefix { $0 == Array("..".utf8) }.count > depth
    }

    private static func outside(_ text: String, _ link: PathBytes?, _ field: String) -> BerthError {
        BerthError(
            .invalidPath,
            link.map { "the symlink '\($0.shown.prefix(200))' leads out of the workspace" }
                ?? "'\(text.prefix(200))' leads out of the workspace",
            field: field,
            remedy: "name something within the workspace; a terminal or 'berth ssh' reaches the rest of the environment"
        )
    }
}
