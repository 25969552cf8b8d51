internal import Base
internal import Glibc
internal import WorkspaceTypes

extension FileActions {
    func list(_ path: String, depth: Int, limit: Int) throws(BerthError) -> FileListing {
        let place = try tree.place(path, follows: true)
        if let status = place.status, !place.isDirectory {
            return FileListing(items: [FileEntry(place, status)], isTruncated: false)
        }
        var listing = FileListing(items: [], isTruncated: false)
        try list(try tree.directory(place), place.path, depth: depth, limit: limit, into: &listing)
        return listing
    }

    private func list(
        _ directory: Handle,
        _ path: PathBytes,
        depth: Int,
        limit: Int,
        into listing: inout FileListing
    ) throws(BerthError) {
        guard let names = FileCalls.names(directory) else { throw FileCalls.failure("listed", path) }
        for name in names {
            guard listing.items.count < limit else {
                listing.isTruncated = true
                return
            }
            // Gone since the directory was read.
            guard let status = FileCalls.status(directory.descriptor, name) else { continue }
            let entry = FileEntry(path.appending(name), status, in: directory, as: name)
            listing.items.append(entry)
            guard entry.kind == .directory, depth > 1, !listing.isTruncated,
                let inner = FileCalls.open(directory.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            else { continue }
            try list(inner, path.appending(name), depth: depth - 1, limit: limit, into: &listing)
        }
    }

    func makeDirectory(_ path: String, makesParents: Bool) throws(BerthError) -> FileEntry {
        if makesParents { try makeParents(of: path) }
        let place = try tree.makeDirectory(path)
        return FileEntry(place, try place.existing())
    }

    func makeParents(of path: String) throws(BerthError) {
        let parts = path.split(separator: "/").dropLast()
        try tree.makeDirectories((path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/"))
    }

    func move(_ from: String, to: String, replaces: Bool) throws(BerthError) -> FileEntry {
        let source = try tree.place(from, follows: false, field: "from")
        let status = try source.existing()
        try refuseVital(source, "moved")
        var target = try tree.place(to, follows: false, field: "to")
        // Into a directory, as mv(1) does.
        if target.isDirectory { target = try tree.place(to + "/" + source.name.shown, follows: false, field: "to") }
        try refuseVital(target, "replaced")
        if target.status != nil, !replaces {
            throw BerthError(
                .conflict,
                "'\(target.path.shown.prefix(200))' is there already",
                field: "to",
                remedy: "choose another name, or replace it on purpose"
            )
        }
        let isDirectory = status.st_mode & S_IFMT == S_IFDIR
        let done = source.name.withPath { old in
            target.name.withPath { new in
                let (a, b) = (source.directory.descriptor, target.directory.descriptor)
                // A link refuses what came there in between; a directory replaces only an empty one.
                if replaces || isDirectory { return renameat(a, old, b, new) }
                guard linkat(a, old, b, new, 0) == 0 else {
                    return errno == EEXIST ? -1 : renameat(a, old, b, new)
                }
                return unlinkat(a, old, 0)
            }
        }
        guard done == 0 else {
            if errno == EINVAL {
                throw BerthError(.invalidPath, "a directory cannot be moved into itself", field: "to")
            }
            throw FileCalls.failure("moved", errno == ENOENT ? target.path : source.path)
        }
        guard let moved = FileCalls.status(target.directory.descriptor, target.name) else {
            throw FileCalls.failure("moved", target.path)
        }
        return FileEntry(target, moved)
    }

    func remove(_ path: String, isRecursive: Bool) throws(BerthError) -> FileTally {
        let place = try tree.place(path, follows: false)
        _ = try place.existing()
        try refuseVital(place, "removed")
        var tally = FileTally()
        try remove(place.name, in: place.directory, place.path, isRecursive: isRecursive, &tally)
        return tally
    }

    private func remove(
        _ name: PathBytes,
        in directory: Handle,
        _ path: PathBytes,
        isRecursive: Bool,
        _ tally: inout FileTally
    ) throws(BerthError) {
        guard let status = FileCalls.status(directory.descriptor, name) else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            guard name.withPath({ unlinkat(directory.descriptor, $0, 0) }) == 0 || errno == ENOENT else {
                throw FileCalls.failure("removed", path)
            }
            if status.st_mode & S_IFMT == S_IFLNK { tally.symlinks += 1 } else { tally.files += 1 }
            tally.bytes += status.st_mode & S_IFMT == S_IFREG ? Int64(status.st_size) : 0
            return
        }
        if isRecursive {
            guard let inner = FileCalls.open(directory.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
                let names = FileCalls.names(inner)
            else { throw FileCalls.failure("removed", path) }
            for child in names { try remove(child, in: inner, path.appending(child), isRecursive: true, &tally) }
        }
        guard name.withPath({ unlinkat(directory.descriptor, $0, AT_REMOVEDIR) }) == 0 || errno == ENOENT else {
            if errno == ENOTEMPTY || errno == EEXIST {
                throw BerthError(
                    .conflict,
                    "'\(path.shown.prefix(200))' is not empty",
                    field: "path",
                    remedy: "remove it with what is in it: --recursive, or recursive=true"
                )
            }
            throw FileCalls.failure("removed", path)
        }
        tally.directories += 1
    }

    /// The checkout and its repository are no files among others.
    private func refuseVital(_ place: WorkspaceTree.Place, _ what: String) throws(BerthError) {
        guard place.isRoot || place.path == Array(".git".utf8) else { return }
        throw BerthError(
            .forbidden,
            place.isRoot ? "the checkout itself cannot be \(what)" : "the checkout's repository cannot be \(what)",
            field: "path",
            remedy: "archive the workspace, or use a terminal"
        )
    }
}

extension WorkspaceTree {
    /// One that is there already is as good.
    @discardableResult
    func makeDirectory(_ path: String) throws(BerthError) -> Place {
        var place = try place(path, follows: true)
        if place.status != nil {
            guard place.isDirectory else { throw FileCalls.failure("made", place.path, EEXIST) }
            return place
        }
        guard place.name.withPath({ mkdirat(place.directory.descriptor, $0, 0o755) }) == 0 || errno == EEXIST else {
            throw FileCalls.failure("made", place.path)
        }
        place.status = FileCalls.status(place.directory.descriptor, place.name)
        return place
    }

    /// With those above it.
    func makeDirectories(_ path: String) throws(BerthError) {
        // Before the first is made.
        try check(path)
        let parts = path.split(separator: "/")
        let start = path.hasPrefix("/") ? "/" : ""
        for count in 0..<parts.count {
            let parent = start + parts.prefix(count + 1).joined(separator: "/")
            // Of an absolute path only what is within the checkout can be made, and what is above it is there.
            if path.hasPrefix("/"), parent.utf8.count <= self.path.count { continue }
            try makeDirectory(parent)
        }
    }
}
