import Base
public import EventLoop
import Glibc

/// A client that does with its socket what no honest one does: reads when told to, shuts one side, resets.
public final class RawSocket: Sendable {
    private let descriptor: CInt
    private let readiness: Descriptor
    private let loop: EventLoop

    private init(_ descriptor: CInt, loop: EventLoop) {
        self.descriptor = descriptor
        self.loop = loop
        readiness = Descriptor(descriptor, loop: loop, closingFile: true)
    }

    deinit { readiness.closeSoon() }

    /// - Parameter receiveBuffer: bytes that the kernel takes in unread.
    public static func connect(_ address: SocketAddress, on loop: EventLoop, receiveBuffer: CInt? = nil) async throws
        -> RawSocket
    {
        var raw = sockaddr_in()
        raw.sin_family = sa_family_t(AF_INET)
        raw.sin_port = UInt16(address.port).bigEndian
        raw.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, type, 0)
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<CInt>.size))
        }
        let status = withUnsafePointer(to: &raw) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        let peer = RawSocket(descriptor, loop: loop)
        if status != 0 { try await peer.readiness.writable() }
        return peer
    }

    /// Throws once the server has closed.
    public func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    public func send(_ bytes: [UInt8]) async throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                try await readiness.writable()
            } else if errno != EINTR {
                throw BerthError(.network, "the server has closed")
            }
        }
    }

    /// Up to `count` bytes; nil at the end and after a reset.
    public func read(_ count: Int = 65536, within time: Duration = .seconds(20)) async throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: count)
        let deadline = loop.time.uptime + time
        while true {
            let got = recv(descriptor, &buffer, count, 0)
            if got > 0 { return Array(buffer[..<got]) }
            guard got < 0, errno == EAGAIN || errno == EINTR else { return nil }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.readiness.readable() }
                group.addTask {
                    try await self.loop.time.wait(until: deadline)
                    throw BerthError(.timedOut, "the server says nothing")
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }

    /// Everything until the server closes.
    public func readAll() async throws -> String {
        var all: [UInt8] = []
        while let more = try await read() { all += more }
        return String(decoding: all, as: UTF8.self)
    }

    /// Everything until `text` has come `times` times, or the end.
    public func read(until text: String, times: Int = 1) async throws -> String {
        var all = ""
        while all.ranges(of: text).count < times, let more = try await read() {
            all += String(decoding: more, as: UTF8.self)
        }
        return all
    }

    /// Sends no more; still reads.
    public func halfClose() { shutdown(descriptor, CInt(SHUT_WR)) }

    public func close() async { await readiness.close() }

    /// Closes with RST.
    public func reset() async {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        await readiness.close()
    }
}
