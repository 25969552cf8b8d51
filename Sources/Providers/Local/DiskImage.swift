internal import Base
internal import CShims
internal import EventLoop
internal import Glibc

/// A file with an ext4 file system of a fixed size: the disk cap of an environment. Sparse, so it costs what is used.
enum DiskImage {
    static func make(_ path: String, bytes: Int64, loop: EventLoop, time: any TimeSource) async throws {
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
        let status = try await run(arguments, loop: loop, time: time)
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

    /// Runs a program to its end; its exit status, or 128 plus the signal.
    private static func run(_ arguments: [String], loop: EventLoop, time: any TimeSource) async throws -> Int32 {
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nil]
        defer { for pointer in pointers + environment { free(pointer) } }
        var pid = pid_t()
        let error = posix_spawn(&pid, arguments[0], nil, nil, &pointers, &environment)
        guard error == 0 else { throw SmallFile.failure("start", arguments[0], error) }
        let process = berth_process_open(pid)
        if process >= 0 {
            let watched = Descriptor(process, loop: loop, closingFile: true)
            // Cancelled or not, the child is collected below.
            try? await watched.readable()
            watched.closeSoon()
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    }
}
