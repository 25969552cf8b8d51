internal import Base
internal import Glibc

/// A descriptor, closed with its last reference.
final class Handle: Sendable {
    let descriptor: CInt

    init(_ descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(descriptor) }
}

/// Names and paths are bytes here: a file may be called anything but NUL and `/`.
typealias PathBytes = [UInt8]

extension PathBytes {
    /// For a C call; valid during `body` alone.
    func withPath<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        var text = map { CChar(bitPattern: $0) }
        text.append(0)
        return text.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else {
                preconditionFailure("a buffer of at least one byte has an address")
            }
            return body(base)
        }
    }

    /// For people; what is not UTF-8 shows as U+FFFD.
    var shown: String { String(decoding: self, as: UTF8.self) }

    func appending(_ name: PathBytes) -> PathBytes { isEmpty ? name : self + [UInt8(ascii: "/")] + name }
}

/// Not in Swift's view of the C library; the same on x86-64 and arm64 (asm-generic/fcntl.h).
let openPathOnly: CInt = 0o10000000

enum FileCalls {
    /// nil with `errno` set.
    static func open(_ directory: CInt, _ name: PathBytes, _ flags: CInt, _ mode: mode_t = 0) -> Handle? {
        while true {
            let descriptor = name.withPath { openat(directory, $0, flags | O_CLOEXEC, mode) }
            if descriptor >= 0 { return Handle(descriptor) }
            if errno != EINTR { return nil }
        }
    }

    /// Of the thing itself, never of what a symlink points to. nil with `errno` set.
    static func status(_ directory: CInt, _ name: PathBytes) -> stat? {
        var status = stat()
        return name.withPath { fstatat(directory, $0, &status, AT_SYMLINK_NOFOLLOW) } == 0 ? status : nil
    }

    /// nil with `errno` set.
    static func target(_ directory: CInt, _ name: PathBytes) -> PathBytes? {
        var buffer = [CChar](repeating: 0, count: 4097)
        let count = name.withPath { readlinkat(directory, $0, &buffer, buffer.count) }
        return count < 0 ? nil : buffer[..<count].map { UInt8(bitPattern: $0) }
    }

    /// Without `.` and `..`, in the order of their bytes. nil with `errno` set.
    static func names(_ directory: Handle) -> [PathBytes]? {
        // The stream closes its own descriptor.
        guard let own = open(directory.descriptor, Array(".".utf8), O_RDONLY | O_DIRECTORY) else { return nil }
        let copy = fcntl(own.descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0, let stream = fdopendir(copy) else { return nil }
        defer { closedir(stream) }
        var names: [PathBytes] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: UInt8.self, capacity: 256) { bytes in
                    PathBytes(
                        UnsafeBufferPointer(
                            start: bytes,
                            count: strnlen(
                                UnsafeRawPointer(bytes)
                                    .assumingMemoryBound(to: CChar.self),
                                256
                            )
                        )
                    )
                }
            }
            if name != [UInt8(ascii: ".")], name != [UInt8(ascii: "."), UInt8(ascii: ".")] { names.append(name) }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// What `errno` says about `path`.
    static func failure(_ what: String, _ path: PathBytes, _ code: CInt = errno) -> BerthError {
        let name = path.isEmpty ? "the checkout" : "'\(path.shown.prefix(200))'"
        switch code {
        case ENOENT: return BerthError(.notFound, "there is no \(name)", field: "path")
        case EACCES, EPERM, EROFS:
            return BerthError(
                .forbidden,
                "\(name) cannot be \(what): the environment's user has no right to",
                field: "path",
                remedy: "change its rights in a terminal of the environment"
            )
        case ENOSPC, EDQUOT:
            return BerthError(
                .diskFull,
                "\(name) cannot be \(what): the environment's disk is full",
                remedy: "free space in the environment or give it a larger disk; nothing was changed"
            )
        case EFBIG: return BerthError(.tooLarge, "\(name) is larger than the file system allows", field: "path")
        case EEXIST, ENOTEMPTY:
            return BerthError(.conflict, "\(name) cannot be \(what): something is there already", field: "path")
        case ENOTDIR: return BerthError(.invalidPath, "a part of \(name) is no directory", field: "path")
        case EISDIR: return BerthError(.invalidPath, "\(name) is a directory", field: "path")
        case ELOOP: return BerthError(.invalidPath, "\(name) goes round in circles", field: "path")
        case ENAMETOOLONG: return BerthError(.invalidPath, "\(name) is too long", field: "path")
        case EXDEV:
            return BerthError(
                .unsupported,
                "\(name) cannot be \(what) to another file system",
                field: "to",
                remedy: "copy it and remove the original"
            )
        case ETXTBSY, EBUSY: return BerthError(.conflict, "\(name) is in use", field: "path")
        default:
            return BerthError(
                .internal,
                "\(name) cannot be \(what): \(String(cString: strerror(code)))",
                detail: "errno \(code)"
            )
        }
    }
}
