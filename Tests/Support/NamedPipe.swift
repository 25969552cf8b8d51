import Glibc

/// A pipe whose ends no concurrently started program can inherit: a FIFO, because open(2) alone is close-on-exec from
/// the first moment.
public struct NamedPipe: Sendable {
    public let read: Int32
    public let write: Int32

    public init() throws {
        let directory = try TemporaryDirectory("pipe")
        let path = directory.file("fifo")
        guard mkfifo(path, 0o600) == 0 else { throw SystemFailure("mkfifo", errno) }
        read = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        write = open(path, O_WRONLY | O_CLOEXEC)
        guard read >= 0, write >= 0 else { throw SystemFailure("open", errno) }
        _ = fcntl(read, F_SETFL, 0)
    }

    /// Closes the writing end and waits until nobody has it: a child that is between fork and exec keeps it for a moment.
    public func endWriting() {
        close(write)
        var wait = pollfd(fd: read, events: 0, revents: 0)
        while poll(&wait, 1, 10_000) < 0, errno == EINTR {}
    }

    /// Writes bytes that fit into the pipe.
    public func fill(_ bytes: [UInt8]) throws {
        guard Glibc.write(write, bytes, bytes.count) == bytes.count else { throw SystemFailure("write", errno) }
    }
}
