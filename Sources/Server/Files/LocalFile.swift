import Base
import Glibc

/// A file of this machine, open for reading.
final class LocalFile: Sendable {
    private let descriptor: CInt

    /// nil when there is none.
    init?(path: String) throws(BerthError) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor < 0 else { return }
        if errno == ENOENT { return nil }
        throw BerthError(.internal, "a file of the server cannot be read", detail: "errno \(errno)")
    }

    deinit { close(descriptor) }

    /// Fewer than `count` bytes only at the end.
    func read(at offset: Int64, count: Int) throws(BerthError) -> [UInt8] {
        var trouble: CInt = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let got = pread(
                    descriptor,
                    buffer.baseAddress.map { $0 + filled },
                    count - filled,
                    Int(offset) + filled
                )
                if got < 0, errno == EINTR { continue }
                if got < 0 { trouble = errno }
                if got <= 0 { break }
                filled += got
            }
        }
        guard trouble == 0 else {
            throw BerthError(.internal, "a file of the server cannot be read", detail: "errno \(trouble)")
        }
        return bytes
    }
}
