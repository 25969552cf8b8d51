public import Base
internal import EventLoop
internal import Glibc

/// A regular file held open as the body of an answer: what is sent is the file as it was opened, also when its name is
/// given to another one meanwhile. The server answers conditional requests and those for a part of it, and sends it in
/// pieces as the client takes them.
public final class OpenFile: Sendable {
    private let descriptor: CInt
    public let length: Int64
    /// Seconds since 1970-01-01 UTC.
    let modifiedAt: Int64
    /// Strong validator of these bytes, with its quotes; changes with the file's identity, length and time of writing.
    public let entityTag: String

    /// nil when there is no regular file of that name.
    public convenience init?(path: String) throws(BerthError) {
        // Non-blocking, for a pipe of that name would wait for a writer.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw BerthError(errno: errno, "a file of the server cannot be read", code: .internal)
        }
        self.init(adopting: descriptor)
    }

    /// Takes `descriptor` over; nil when it is no regular file.
    private init?(adopting descriptor: CInt) {
        self.descriptor = descriptor
        var status = stat()
        let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        length = Int64(status.st_size)
        modifiedAt = Int64(status.st_mtim.tv_sec)
        let parts = [UInt64(status.st_ino), UInt64(max(0, length)), UInt64(max(0, modifiedAt))]
        entityTag = "\"" + parts.map { String($0, radix: 16) + "-" }.joined() + "\(status.st_mtim.tv_nsec)\""
        if !isFile { return nil }
    }

    deinit { close(descriptor) }

    /// Up to `count` bytes from `offset` on, read beside the loop, for a disk may take its time.
    func read(at offset: Int64, count: Int, on loop: EventLoop) async throws -> [UInt8] {
        try await loop.blocking { [self] in readNow(at: offset, count: count) }.get()
    }

    private func readNow(at offset: Int64, count: Int) -> Result<[UInt8], BerthError> {
        var trouble: CInt = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var got = pread(descriptor, buffer.baseAddress, count, Int(offset))
            while got < 0, errno == EINTR { got = pread(descriptor, buffer.baseAddress, count, Int(offset)) }
            filled = max(0, got)
            if got < 0 { trouble = errno }
        }
        guard trouble == 0 else {
            return .failure(BerthError(errno: trouble, "a file of the server cannot be read", code: .internal))
        }
        return .success(bytes)
    }
}
