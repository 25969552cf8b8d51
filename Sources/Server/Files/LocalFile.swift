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
        do {
            return try readBytes(of: descriptor, at: offset, count: count)
        } catch {
            throw BerthError(.internal, "a file of the server cannot be read", detail: "errno \(error.code)")
        }
    }
}
