internal import Base
internal import EventLoop
internal import Glibc

/// A named pipe at which a worker waits for whoever still prepares its place.
enum Gate {
    /// Returns once a byte was read, or at once where there is no such pipe. Throws `unavailable` when its writer is gone.
    static func pass(_ path: String, loop: EventLoop) async throws {
        let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return }
            throw failure(path, String(cString: strerror(errno)))
        }
        let pipe = Descriptor(file, loop: loop, closingFile: true)
        defer { pipe.closeSoon() }
        while true {
            // Read first: a pipe that never had a writer since it was opened is not even readable.
            var byte: UInt8 = 0
            let count = read(file, &byte, 1)
            if count == 1 { return }
            if count == 0 { throw failure(path, "nobody opens it any more") }
            guard errno == EAGAIN || errno == EINTR else { throw failure(path, String(cString: strerror(errno))) }
            try await pipe.readable()
        }
    }

    private static func failure(_ path: String, _ reason: String) -> BerthError {
        BerthError(.unavailable, "cannot pass the gate \(path): \(reason)", isRetryable: true)
    }
}
