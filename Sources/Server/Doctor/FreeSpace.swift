import Glibc

/// Room on the disk of a path.
enum FreeSpace {
    /// Bytes that this user may still write; nil where that cannot be told.
    static func of(_ path: String) -> UInt64? {
        var status = statvfs()
        guard statvfs(path.isEmpty ? "/" : path, &status) == 0 else { return nil }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }

    /// Whether there is no room for even a few pages of the database.
    static func isFull(_ path: String) -> Bool { of(path).map { $0 < 64 << 10 } ?? false }
}
