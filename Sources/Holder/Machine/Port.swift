internal import Glibc

/// A descriptor that does not block, with the bytes that still wait to be written.
struct Port {
    let descriptor: Int32
    var output: [UInt8] = []

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    var watched: pollfd {
        pollfd(fd: descriptor, events: Int16(output.isEmpty ? POLLIN : POLLIN | POLLOUT), revents: 0)
    }

    mutating func flush() { Self.write(&output, to: descriptor) }

    /// What is there now; nil at the end.
    func read() -> [UInt8]? { Self.read(descriptor) }

    static let readSize = 65536

    /// Empty where nothing waits, nil at the end or on an error.
    static func read(_ descriptor: Int32, upTo count: Int = readSize) -> [UInt8]? {
        var count = count
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            repeat {
                count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            } while count < 0 && errno == EINTR
            used = max(0, count)
        }
        if count < 0 { return errno == EAGAIN ? [] : nil }
        return count == 0 ? nil : bytes
    }

    /// Writes what fits and removes it; false when the other side is gone.
    @discardableResult
    static func write(_ bytes: inout [UInt8], to descriptor: Int32) -> Bool {
        var written = 0
        defer { bytes.removeFirst(written) }
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), min($0.count - written, 32768))
            }
            if count > 0 {
                written += count
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return count < 0 && errno == EAGAIN
            }
        }
        return true
    }
}
