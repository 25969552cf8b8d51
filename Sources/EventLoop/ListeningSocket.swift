public import Base
internal import CUV
internal import Glibc

/// A bound and listening socket. Each accepted descriptor is non-blocking, close-on-exec and the callback's to close.
///
/// `@unchecked Sendable`: touched only on its loop.
public final class ListeningSocket: @unchecked Sendable {
    private let loop: EventLoop
    private let descriptor: CInt
    private let accepted: (CInt, SocketAddress) -> Void
    private var handle: PollHandle?
    private var pause: LoopTimer?
    public let address: SocketAddress
    /// Told when connections wait that the system gives no descriptor for.
    public var onExhaustion: ((BerthError) -> Void)?
    /// The path and inode that are ours to remove.
    private var boundPath: (path: String, inode: ino_t)?

    private static let backlog: CInt = 1024

    /// Listens on a TCP address; port 0 takes a free one, told by ``address``. Throws `invalid_value` for an address that
    /// this machine does not have.
    public init(
        tcp address: SocketAddress,
        loop: EventLoop,
        accepted: @escaping (CInt, SocketAddress) -> Void
    ) throws(BerthError) {
        let descriptor = try Self.open(address)
        self.descriptor = descriptor
        self.loop = loop
        self.accepted = accepted
        do throws(BerthError) {
            var on: CInt = 1
            let size = socklen_t(MemoryLayout<CInt>.size)
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
            // Whatever the system's default: `::` takes IPv4 connections too.
            var off: CInt = 0
            if address.isAny { setsockopt(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, &off, size) }
            try Self.check(address.withSockaddr { bind(descriptor, $0, $1) }, address)
            try Self.check(listen(descriptor, Self.backlog), address)
            self.address = SocketAddress(localOf: descriptor) ?? address
            try watch()
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    /// Listens on a unix socket that appears at `path` only once it accepts connections, with permissions `mode`.
    /// A socket file that nobody listens on any more is replaced; a living one is an error.
    public init(
        unix path: String,
        mode: UInt32,
        loop: EventLoop,
        accepted: @escaping (CInt, SocketAddress) -> Void
    ) throws(BerthError) {
        address = try SocketAddress.unix(path)
        let fresh = try SocketAddress.unix(path + ".new")
        try Self.refuseIfAlive(address)
        let descriptor = try Self.open(address)
        self.descriptor = descriptor
        self.loop = loop
        self.accepted = accepted
        do throws(BerthError) {
            unlink(fresh.host)
            // Before bind, so that the file never has other permissions than these.
            fchmod(descriptor, mode)
            try Self.check(fresh.withSockaddr { bind(descriptor, $0, $1) }, address)
            var status = stat()
            try Self.check(chmod(fresh.host, mode), address)
            try Self.check(stat(fresh.host, &status), address)
            try Self.check(listen(descriptor, Self.backlog), address)
            try Self.check(rename(fresh.host, path), address)
            boundPath = (path, status.st_ino)
            try watch()
        } catch {
            unlink(fresh.host)
            Glibc.close(descriptor)
            throw error
        }
    }

    public func close() {
        guard let handle else { return }
        self.handle = nil
        handle.close()
        Glibc.close(descriptor)
        pause?.close()
        pause = nil
        if let boundPath {
            var status = stat()
            if stat(boundPath.path, &status) == 0, status.st_ino == boundPath.inode { unlink(boundPath.path) }
        }
    }

    private func watch() throws(BerthError) {
        let handle = try PollHandle(loop: loop, descriptor: descriptor, target: self)
        handle.watch(reading: true, writing: false)
        self.handle = handle
    }

    private static func open(_ address: SocketAddress) throws(BerthError) -> CInt {
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.domain, type, 0)
        try check(descriptor, address)
        return descriptor
    }

    private static func check(_ status: CInt, _ address: SocketAddress) throws(BerthError) {
        guard status < 0 else { return }
        let errno = errno
        var error = BerthError(errno: errno, "cannot listen on \(address)")
        if errno == EADDRINUSE { error.remedy = "another program uses it; stop that program or choose another address" }
        if errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT {
            error.code = .invalidValue
            error.remedy = "this machine has no such address; 'ip address' shows those it has"
        }
        if errno == EACCES { error.remedy = "this user may not; choose another address or run with the right to it" }
        throw error
    }

    private static func refuseIfAlive(_ address: SocketAddress) throws(BerthError) {
        let probe = try open(address)
        defer { Glibc.close(probe) }
        let status = address.withSockaddr { connect(probe, $0, $1) }
        if status == 0 || errno == EAGAIN {
            throw BerthError(
                .conflict,
                "cannot listen on \(address): another program listens there",
                remedy: "stop that program or choose another path"
            )
        }
    }
}

extension ListeningSocket: PollTarget {
    func ready(_ readiness: Readiness) {
        // Bounded, so that a flood of connections leaves room for those already here.
        for _ in 0..<64 {
            guard handle != nil else { return }
            var connection: CInt = -1
            let peer = SocketAddress { raw, length in
                connection = accept4(
                    descriptor,
                    raw,
                    length,
                    CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
                )
                return connection < 0 ? -1 : 0
            }
            if connection >= 0 {
                accepted(connection, peer ?? address)
                continue
            }
            switch errno {
            case EAGAIN: return
            case EINTR, ECONNABORTED, EPROTO: continue
            default:
                // Out of descriptors or memory: the queue stays readable, so look again a little later.
                onExhaustion?(BerthError(errno: errno, "cannot accept connections"))
                pauseAccepting()
                return
            }
        }
    }

    private func pauseAccepting() {
        handle?.watch(reading: false, writing: false)
        let timer =
            pause
            ?? LoopTimer(loop: loop) { [unowned self] in
                handle?.watch(reading: true, writing: false)
            }
        pause = timer
        timer.set(after: .milliseconds(100))
    }

    func loopStops() { close() }
}
