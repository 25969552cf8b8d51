internal import Glibc

extension Socket {
    /// Small writes leave at once. Does nothing on a unix socket.
    public func setNoDelay() {
        var on: CInt = 1
        setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
    }

    /// A peer that has vanished without a word is noticed within two minutes. Does nothing on a unix socket.
    public func setKeepAlive() {
        func set(_ level: CInt, _ option: CInt, _ value: CInt) {
            var value = value
            setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
        }
        set(SOL_SOCKET, SO_KEEPALIVE, 1)
        set(CInt(IPPROTO_TCP), TCP_KEEPIDLE, 60)
        set(CInt(IPPROTO_TCP), TCP_KEEPINTVL, 15)
        set(CInt(IPPROTO_TCP), TCP_KEEPCNT, 4)
    }

    /// Bytes that the kernel has taken from us and the peer's not yet from it.
    public var queuedInKernel: Int {
        var count: CInt = 0
        return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? Int(count) : 0
    }

    /// Whether the peer has closed, or sends no more behind what waits here to be read. For sockets that are not read;
    /// the others are told.
    public var hasPeerShut: Bool {
        let readHangUp: Int16 = 0x2000  // POLLRDHUP, which Glibc's module hides
        var poll = pollfd(fd: descriptor, events: readHangUp, revents: 0)
        return Glibc.poll(&poll, 1, 0) > 0
    }

    /// The process at the other end of a unix socket, as the kernel knew it at connect (SO_PEERCRED).
    public var peerProcess: (processID: Int32, userID: UInt32, groupID: UInt32)? {
        var credentials: (Int32, UInt32, UInt32) = (0, 0, 0)  // struct ucred
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0, credentials.0 != 0 else {
            return nil
        }
        return credentials
    }

    var pendingError: CInt {
        var error: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
        return error
    }

    public var localAddress: SocketAddress? { SocketAddress(localOf: descriptor) }
}
