internal import Base
internal import Glibc
internal import Synchronization

/// A file that holds room on the worker's disk, so that on a full one an attempt's end can still be written and bytes that
/// the server has stored can still be removed, which takes a few blocks first.
final class SpaceReserve: Sendable {
    private static let bytes: off_t = 1 << 20

    private let path: String
    private let isThere: Mutex<Bool>

    init(path: String) {
        self.path = path
        isThere = Mutex(false)
    }

    /// Makes the room unless it is held already. Throws `disk_full`.
    func restore() throws(BerthError) {
        let failure = isThere.withLock { isThere -> Int32 in
            if isThere { return 0 }
            let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            guard file >= 0 else { return errno }
            defer { Glibc.close(file) }
            let failure = posix_fallocate(file, 0, Self.bytes)
            if failure == 0 { isThere = true } else { unlink(path) }
            return failure
        }
        guard failure != 0 else { return }
        throw BerthError(
            [ENOSPC, EDQUOT].contains(failure) ? .diskFull : .internal,
            "the worker's disk has no room for another run",
            remedy: "make room on it",
            detail: "\(path): errno \(failure)",
            isRetryable: true
        )
    }

    func release() {
        isThere.withLock { isThere in
            unlink(path)
            isThere = false
        }
    }

    /// Runs what frees more than it needs; again with the reserve when there is no room. Its failure is no loss: the same
    /// comes again with the next bytes.
    func spend(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            guard BerthError(wrapping: error).code == .diskFull else { return }
            release()
            try? body()
            try? restore()
        }
    }
}
