internal import Base
internal import Glibc
internal import WorkspaceTypes

extension FileActions {
    /// After the first change others may come for so long before they are told together.
    private static let gatherMilliseconds: CInt = 50

    func watch(_ path: String) throws {
        let place = try tree.place(path, follows: true)
        var watch = try TreeWatch(try tree.directory(place), at: place.path)
        try conversation.send(item: [FileChange]())
        while true {
            // The caller's end of the stream is its end of interest.
            var polled = [
                pollfd(fd: watch.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: conversation.socket, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&polled, 2, -1) >= 0 || errno == EINTR else { return }
            if polled[1].revents != 0 { return }
            guard polled[0].revents != 0 else { continue }
            try watch.read()
            _ = poll(&polled[1], 1, Self.gatherMilliseconds)
            try watch.read()
            let changes = watch.takeChanges()
            if !changes.isEmpty { try conversation.send(item: changes) }
        }
    }
}

/// What changes in a directory and all below it, by inotify(7). The repository's own directory is left out.
private struct TreeWatch {
    let descriptor: CInt
    private let root: Handle
    private let rootPath: PathBytes
    /// Directories by watch: paths within the root.
    private var directories: [CInt: PathBytes] = [:]
    private var pending = PendingChanges()

    private static let mask =
        UInt32(IN_CREATE) | UInt32(IN_DELETE) | UInt32(IN_MODIFY) | UInt32(IN_ATTRIB) | UInt32(IN_MOVED_FROM)
        | UInt32(IN_MOVED_TO) | UInt32(IN_ONLYDIR) | UInt32(IN_DONT_FOLLOW) | UInt32(IN_EXCL_UNLINK)

    init(_ directory: Handle, at path: PathBytes) throws(BerthError) {
        descriptor = inotify_init1(CInt(IN_CLOEXEC) | CInt(IN_NONBLOCK))
        guard descriptor >= 0 else { throw Self.tooMany("watchers (fs.inotify.max_user_instances)") }
        root = directory
        rootPath = path
        try add([], directory, tells: false)
    }

    private static func tooMany(_ what: String) -> BerthError {
        BerthError(
            .quotaExceeded,
            "the environment's user has too many \(what)",
            remedy: "watch a smaller directory, or raise that limit on the machine"
        )
    }

    /// Watches a directory and those below it.
    /// - Parameter tells: whether what is found there came with it, and is to be told.
    private mutating func add(_ path: PathBytes, _ directory: Handle, tells: Bool) throws(BerthError) {
        // By its descriptor: whatever its name means by now.
        let name = PathBytes("/proc/self/fd/\(directory.descriptor)/.".utf8)
        let watch = name.withPath { inotify_add_watch(descriptor, $0, Self.mask) }
        guard watch >= 0 else {
            if errno == ENOSPC { throw Self.tooMany("watched directories (fs.inotify.max_user_watches)") }
            if errno == ENOENT || errno == ENOTDIR || errno == EACCES { return }
            throw FileCalls.failure("watched", rootPath.appending(path))
        }
        directories[watch] = path
        for name in FileCalls.names(directory) ?? [] where !Self.isHidden(name, in: path) {
            let here = path.appending(name)
            if tells { pending.add(here, .created) }
            guard let status = FileCalls.status(directory.descriptor, name), status.st_mode & S_IFMT == S_IFDIR,
                let inner = FileCalls.open(directory.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            else { continue }
            try add(here, inner, tells: tells)
        }
    }

    /// Parts of files that are being written, and the repository.
    private static func isHidden(_ name: PathBytes, in path: PathBytes) -> Bool {
        name == Array(".git".utf8)
            || (name.starts(with: Array(".berth-".utf8)) && name.suffix(5).elementsEqual(".part".utf8))
    }

    mutating func read() throws(BerthError) {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let header = MemoryLayout<inotify_event>.size
        while case let count = Glibc.read(descriptor, &buffer, buffer.count), count > 0 {
            var at = 0
            while at + header <= count {
                let event = buffer[at..<at + header].withUnsafeBytes { $0.loadUnaligned(as: inotify_event.self) }
                let name = buffer[(at + header)..<(at + header + Int(event.len))].prefix { $0 != 0 }
                at += header + Int(event.len)
                try take(event, PathBytes(name))
            }
        }
    }

    private mutating func take(_ event: inotify_event, _ name: PathBytes) throws(BerthError) {
        func has(_ flag: some BinaryInteger) -> Bool { event.mask & UInt32(truncatingIfNeeded: flag) != 0 }
        if has(IN_Q_OVERFLOW) {
            pending.overflow()
            // Directories may have come unseen; those that are watched stay so.
            return try add([], root, tells: false)
        }
        if has(IN_IGNORED) {
            directories[event.wd] = nil
            return
        }
        guard let directory = directories[event.wd], !name.isEmpty, !Self.isHidden(name, in: directory) else { return }
        let path = directory.appending(name)
        if has(IN_DELETE) || has(IN_MOVED_FROM) {
            pending.add(path, .removed)
            if has(IN_ISDIR), has(IN_MOVED_FROM) { forget(path) }
        } else if has(IN_CREATE) || has(IN_MOVED_TO) {
            pending.add(path, .created)
            guard has(IN_ISDIR), let inner = open(path) else { return }
            try add(path, inner, tells: true)
        } else {
            pending.add(path, .changed)
        }
    }

    private func open(_ path: PathBytes) -> Handle? {
        var directory = root
        for part in path.split(separator: UInt8(ascii: "/")) {
            guard let next = FileCalls.open(directory.descriptor, PathBytes(part), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            else { return nil }
            directory = next
        }
        return directory
    }

    /// A directory that was moved away is watched under no name any more.
    private mutating func forget(_ path: PathBytes) {
        let inside = path + [UInt8(ascii: "/")]
        for watch in directories.filter({ $0.value == path || $0.value.starts(with: inside) }).keys.sorted() {
            directories[watch] = nil
            inotify_rm_watch(descriptor, watch)
        }
    }

    mutating func takeChanges() -> [FileChange] { pending.take(below: rootPath) }
}
