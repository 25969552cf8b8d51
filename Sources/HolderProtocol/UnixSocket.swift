internal import Glibc

/// Unix stream sockets by path. Calls return a descriptor (close-on-exec), or -errno.
public enum UnixSocket {
    public static func connect(to path: String) -> Int32 {
        with(path) { socket, address, length in Glibc.connect(socket, address, length) }
    }

    /// Listens at `path` with mode 0600. A socket file that nobody answers on is replaced; a living one is `EADDRINUSE`.
    public static func listen(at path: String) -> Int32 {
        let probe = connect(to: path)
        if probe >= 0 {
            close(probe)
            return -EADDRINUSE
        }
        if probe == -ECONNREFUSED { unlink(path) }
        return with(path) { socket, address, length in
            let mask = umask(0o177)
            defer { umask(mask) }
            return bind(socket, address, length) < 0 ? -1 : Glibc.listen(socket, 16)
        }
    }

    public static func accept(on listener: Int32) -> Int32 {
        let accepted = Glibc.accept(listener, nil, nil)
        guard accepted >= 0 else { return -errno }
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        return accepted
    }

    private static func with(
        _ path: String,
        _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return -ENAMETOOLONG }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return -errno }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                call(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if result < 0 {
            let error = errno
            close(descriptor)
            return -error
        }
        return descriptor
    }
}
