internal import Base
public import EventLoop
internal import Glibc

/// Writes a child's input (a pipe's end or a terminal's master) without blocking the loop.
public actor InputWriter {
    private let file: Int32
    private let watched: Descriptor
    private var isClosed = false

    /// Takes its own duplicate of `descriptor`. Throws `internal` when the process has no descriptors left.
    public init(_ descriptor: Int32, loop: EventLoop) throws {
        // A child that closed its input must show as EPIPE, not as a signal that ends the worker.
        _ = Glibc.signal(SIGPIPE, SIG_IGN)
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else {
            throw BerthError(.internal, "no descriptor is left", detail: String(cString: strerror(errno)))
        }
        file = copy
        watched = Descriptor(copy, loop: loop, closingFile: true)
    }

    /// Returns when all bytes are in the pipe or terminal. Throws `network` when the child does not read any more, and
    /// `CancellationError`, after which part of the bytes may have been written. Callers take turns themselves.
    public func write(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard !isClosed else { throw BerthError(.network, "the child's input is closed") }
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                try await watched.writable()
            } else if errno != EINTR {
                throw BerthError(
                    .network,
                    "the child does not take input any more",
                    detail: String(cString: strerror(errno))
                )
            }
        }
    }

    /// Closes this writer's copy; the child sees the end when the holder's is closed too.
    public func close() {
        if isClosed { return }
        isClosed = true
        watched.closeSoon()
    }

    deinit { if !isClosed { watched.closeSoon() } }
}
