internal import Base
internal import EventLoop
internal import Glibc

/// A file with an ext4 file system of a fixed size: the disk cap of an environment. Sparse, so it costs what is used.
enum DiskImage {
    static func make(_ path: String, bytes: Int64, loop: EventLoop) async throws {
        let part = path + ".part"
        let descriptor = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw SmallFile.failure("make", part) }
        let isSized = ftruncate(descriptor, off_t(bytes)) == 0
        close(descriptor)
        guard isSized else { throw SmallFile.failure("size", part) }
        // Tables are written when first used; no blocks for root, who inside is a tenant like any other.
        let arguments = [
            LocalHost.mkfs, "-q", "-F", "-t", "ext4", "-m", "0", "-N", "\(max(16384, bytes / 16384))",
            "-J", "size=4", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0", part,
        ]
        let status = try await ForeignTool.run(arguments, loop: loop)
        guard status == 0 else {
            unlink(part)
            throw BerthError(
                .internal,
                "mke2fs could not make the environment's disk (status \(status))",
                field: "limits.diskBytes"
            )
        }
        guard rename(part, path) == 0 else { throw SmallFile.failure("make", path) }
    }
}
