internal import Glibc

/// Bytes and descriptors (SCM_RIGHTS, unix(7)) over a unix stream socket. Swift does not import the CMSG macros; the
/// layout used here is Linux's on 64 bits: a 16-byte header (length, level, type), then the descriptors.
public enum DescriptorSocket {
    public static let maximumDescriptors = 8
    private static let headerSize = 16

    public enum Received: Equatable, Sendable {
        case bytes(Int)
        case wouldBlock
        case closed
    }

    /// Sends as much of `bytes` as fits, with `descriptors` on its first byte. Returns the number sent, 0 when the socket
    /// is full (then nothing went, nor did the descriptors), or -errno.
    public static func send(_ bytes: UnsafeRawBufferPointer, descriptors: [Int32], to socket: Int32) -> Int {
        var part = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
        let length = headerSize + descriptors.count * 4
        let space = (length + 7) & ~7
        return withUnsafeTemporaryAllocation(byteCount: space, alignment: 8) { control in
            control.initializeMemory(as: UInt8.self, repeating: 0)
            control.storeBytes(of: UInt(length), as: UInt.self)
            control.storeBytes(of: SOL_SOCKET, toByteOffset: 8, as: Int32.self)
            control.storeBytes(of: scmRights, toByteOffset: 12, as: Int32.self)
            for (index, descriptor) in descriptors.enumerated() {
                control.storeBytes(of: descriptor, toByteOffset: headerSize + index * 4, as: Int32.self)
            }
            return withUnsafeMutablePointer(to: &part) { vector in
                var message = msghdr()
                message.msg_iov = vector
                message.msg_iovlen = 1
                if !descriptors.isEmpty {
                    message.msg_control = control.baseAddress
                    message.msg_controllen = numericCast(space)
                }
                while true {
                    let sent = sendmsg(socket, &message, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
                    if sent >= 0 { return sent }
                    if errno == EINTR { continue }
                    return errno == EAGAIN ? 0 : -Int(errno)
                }
            }
        }
    }

    /// Receives into `buffer`; descriptors are appended (close-on-exec) and become the caller's to close.
    public static func receive(
        into buffer: UnsafeMutableRawBufferPointer,
        descriptors: inout [Int32],
        from socket: Int32
    ) -> Received {
        var part = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
        let space = (headerSize + maximumDescriptors * 4 + 7) & ~7
        return withUnsafeTemporaryAllocation(byteCount: space, alignment: 8) { control in
            withUnsafeMutablePointer(to: &part) { vector in
                var message = msghdr()
                message.msg_iov = vector
                message.msg_iovlen = 1
                message.msg_control = control.baseAddress
                message.msg_controllen = numericCast(space)
                var count = -1
                repeat {
                    count = recvmsg(
                        socket,
                        &message,
                        Int32(MSG_DONTWAIT) | Int32(MSG_CMSG_CLOEXEC)
                    )
                } while count < 0 && errno == EINTR
                let available = Int(message.msg_controllen)
                if count >= 0, available >= headerSize {
                    let length = Int(control.load(as: UInt.self))
                    let type = control.load(fromByteOffset: 12, as: Int32.self)
                    if type == scmRights, length <= available {
                        for offset in stride(from: headerSize, to: length, by: 4) {
                            descriptors.append(control.load(fromByteOffset: offset, as: Int32.self))
                        }
                    }
                }
                if count > 0 { return .bytes(count) }
                if count == 0 { return .closed }
                return errno == EAGAIN ? .wouldBlock : .closed
            }
        }
    }

    private static var scmRights: Int32 { 1 }
}
