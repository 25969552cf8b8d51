internal import Glibc

/// TCP on 127.0.0.1.
enum LoopbackSocket {
    /// A connection on its way, or a negative number.
    static func connect(to port: UInt16) -> Int32 {
        with(port) { socket, address, length in
            _ = fcntl(socket, F_SETFL, O_NONBLOCK)
            return Glibc.connect(socket, address, length) == 0 || errno == EINPROGRESS ? 0 : -1
        }
    }

    static func listen(on port: UInt16) -> Int32 {
        with(port) { socket, address, length in
            var yes: Int32 = 1
            setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, 4)
            return bind(socket, address, length) == 0 ? Glibc.listen(socket, 64) : -1
        }
    }

    private static func with(
        _ port: UInt16,
        _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return -1 }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                call(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result >= 0 { return descriptor }
        close(descriptor)
        return -1
    }
}
