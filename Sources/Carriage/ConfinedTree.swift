internal import Base
internal import Glibc

/// Files below one directory, reached component by component and never through a symbolic link.
struct ConfinedTree {
    /// Stays the caller's.
    private let root: CInt

    init(_ root: CInt) { self.root = root }

    enum Found {
        case file(CInt)
        case link([UInt8])
        case directory
        case nothing
        /// A socket, a pipe, a device.
        case special
    }

    /// What lies at a path; the file is the caller's to close.
    func open(_ path: [UInt8]) throws(BerthError) -> Found {
        guard let (parent, name) = try parent(of: path, makes: false) else { return .nothing }
        defer { close(parent) }
        var status = stat()
        guard fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return .nothing }
            throw failure("read", path)
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG:
            let file = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
            guard file >= 0 else { throw failure("read", path) }
            return .file(file)
        case S_IFLNK:
            var target = [UInt8](repeating: 0, count: Entry.longestPath)
            let count = target.withUnsafeMutableBytes { bytes in
                guard let start = bytes.baseAddress else { return -1 }
                return readlinkat(parent, name, start.assumingMemoryBound(to: CChar.self), bytes.count)
            }
            guard count >= 0 else { throw failure("read", path) }
            return .link(Array(target.prefix(count)))
        case S_IFDIR: return .directory
        default: return .special
        }
    }

    /// Names in a directory, in order.
    func names(_ path: [UInt8]) throws(BerthError) -> [[UInt8]] {
        guard let (parent, name) = try parent(of: path, makes: false) else { return [] }
        defer { close(parent) }
        let directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard directory >= 0, let stream = fdopendir(directory) else { throw failure("read", path) }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) { names.append(name) }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// Bytes of all files at and below a path.
    func size(_ path: [UInt8]) throws(BerthError) -> Int64 {
        switch try open(path) {
        case .file(let file):
            defer { close(file) }
            var status = stat()
            return fstat(file, &status) == 0 ? Int64(status.st_size) : 0
        case .directory:
            var sum: Int64 = 0
            for name in try names(path) { sum += try size(path + [PathBytes.slash] + name) }
            return sum
        case .link, .nothing, .special: return 0
        }
    }

    // MARK: Writing

    /// A new file in place of whatever is there.
    func make(_ path: [UInt8], mode: UInt32) throws(BerthError) -> CInt {
        guard let (parent, name) = try parent(of: path, makes: true) else { throw failure("made", path) }
        defer { close(parent) }
        clear(parent, name)
        let file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("made", path) }
        fchmod(file, mode_t(mode & 0o777))
        return file
    }

    func link(_ path: [UInt8], to target: [UInt8]) throws(BerthError) {
        guard let (parent, name) = try parent(of: path, makes: true) else { throw failure("made", path) }
        defer { close(parent) }
        clear(parent, name)
        guard symlinkat((target + [0]).map { CChar(bitPattern: $0) }, parent, name) == 0 else {
            throw failure("made", path)
        }
    }

    /// With the directories that become empty.
    func remove(_ path: [UInt8]) throws(BerthError) {
        var path = path
        var isFirst = true
        while let (parent, name) = try parent(of: path, makes: false) {
            defer { close(parent) }
            let result = unlinkat(parent, name, isFirst ? 0 : AT_REMOVEDIR)
            if result != 0, isFirst, errno != ENOENT, errno != EISDIR { throw failure("removed", path) }
            guard result == 0, let slash = path.lastIndex(of: PathBytes.slash) else { return }
            path = Array(path[..<slash])
            isFirst = false
        }
    }

    private func clear(_ parent: CInt, _ name: [CChar]) {
        if unlinkat(parent, name, 0) != 0, errno == EISDIR { unlinkat(parent, name, AT_REMOVEDIR) }
    }

    /// The directory that a path lies in, and its name there; nil where it is missing.
    private func parent(of path: [UInt8], makes: Bool) throws(BerthError) -> (CInt, [CChar])? {
        let parts = path.split(separator: PathBytes.slash).map { ($0 + [0]).map { CChar(bitPattern: $0) } }
        guard let name = parts.last else { return nil }
        var place = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard place >= 0 else { throw failure("opened", path) }
        for part in parts.dropLast() {
            var next = openat(place, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            if next < 0, makes {
                // A file or a link where a directory is to be.
                if errno == ENOTDIR || errno == ELOOP { unlinkat(place, part, 0) }
                if mkdirat(place, part, 0o777) == 0 {
                    next = openat(place, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                }
            }
            let code = errno
            close(place)
            errno = code
            guard next >= 0 else {
                if !makes, code == ENOENT || code == ENOTDIR || code == ELOOP { return nil }
                throw failure("opened", path)
            }
            place = next
        }
        return (place, name)
    }

    private func failure(_ verb: String, _ path: [UInt8]) -> BerthError {
        OpenedFile.failure(verb, String(decoding: path.prefix(200), as: UTF8.self))
    }
}
