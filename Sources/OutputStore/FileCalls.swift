internal import Base
internal import Glibc

/// The writing call of the stores, replaceable so that tests can fill a disk without one.
public struct FileCalls: Sendable {
    /// As pwrite(2): bytes written, or -errno.
    public var write: @Sendable (_ file: Int32, _ bytes: UnsafeRawBufferPointer, _ offset: Int64) -> Int

    public init(write: @escaping @Sendable (Int32, UnsafeRawBufferPointer, Int64) -> Int) { self.write = write }

    public static let system = FileCalls { file, bytes, offset in
        let count = pwrite(file, bytes.baseAddress, bytes.count, Int(offset))
        return count < 0 ? -Int(errno) : count
    }
}

/// An open file, closed with its last reference.
final class OpenFile: Sendable {
    let descriptor: Int32

    init(path: String, flags: Int32) throws(BerthError) {
        descriptor = open(path, flags | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw .file("open", path, errno) }
    }

    deinit { close(descriptor) }

    var size: Int64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int64(status.st_size) : 0
    }

    /// Fewer than `count` bytes only at the file's end.
    func read(at offset: Int64, count: Int) throws(BerthError) -> [UInt8] {
        do {
            return try readBytes(of: descriptor, at: offset, count: count)
        } catch {
            throw .file("read", "segment", error.code)
        }
    }

    func synchronize() throws(BerthError) {
        if fdatasync(descriptor) < 0 { throw .file("synchronise", "segment", errno) }
    }
}

extension BerthError {
    /// A failed file call. A full disk has its own code, whichever limit of the disk it was.
    static func file(_ what: String, _ path: String, _ error: Int32) -> BerthError {
        let reason = String(cString: strerror(error))
        switch error {
        case ENOSPC, EDQUOT, EFBIG:
            return BerthError(
                .diskFull,
                "the disk that stores output is full",
                remedy: "free space on it; what was stored before is kept",
                detail: "\(what) \(path): \(reason)"
            )
        case ENOENT: return BerthError(.notFound, "there is no stored output", detail: "\(what) \(path): \(reason)")
        default: return BerthError(.internal, "stored output cannot be accessed", detail: "\(what) \(path): \(reason)")
        }
    }
}

enum Directory {
    /// `mkdir -p` with mode 0700.
    static func make(_ path: String) throws(BerthError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw .file("make", path, errno)
        }
        try make(String(path[..<slash]))
        if mkdir(path, 0o700) != 0 && errno != EEXIST { throw .file("make", path, errno) }
    }

    /// The names in a directory in order; none when it does not exist.
    static func names(_ path: String) throws(BerthError) -> [String] {
        guard let directory = opendir(path) else {
            if errno == ENOENT { return [] }
            throw .file("list", path, errno)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a directory and what is in it; following no links. Fine when it is already gone.
    static func remove(_ path: String) throws(BerthError) {
        for name in try names(path) {
            let child = "\(path)/\(name)"
            if unlink(child) == 0 || errno == ENOENT { continue }
            try remove(child)
        }
        if rmdir(path) != 0 && errno != ENOENT { throw .file("remove", path, errno) }
    }

    /// Replaces a small file so that at every moment either the old or the new one is there, whole; also after power loss
    /// when `isDurable`.
    static func replace(
        _ path: String,
        with bytes: [UInt8],
        files: FileCalls,
        isDurable: Bool = true
    ) throws(BerthError) {
        let draft = path + ".new"
        unlink(draft)
        let file = try OpenFile(path: draft, flags: O_WRONLY | O_CREAT | O_EXCL)
        let written = bytes.withUnsafeBytes { files.write(file.descriptor, $0, 0) }
        guard written == bytes.count else {
            unlink(draft)
            throw .file("write", draft, written < 0 ? Int32(-written) : ENOSPC)
        }
        if isDurable { try file.synchronize() }
        if rename(draft, path) != 0 { throw .file("rename", path, errno) }
    }

    /// The bytes of a small file, nil when it does not exist.
    static func contents(_ path: String) throws(BerthError) -> [UInt8]? {
        do throws(BerthError) {
            let file = try OpenFile(path: path, flags: O_RDONLY)
            return try file.read(at: 0, count: Int(file.size))
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }
}
