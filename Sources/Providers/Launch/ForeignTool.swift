internal import Base
internal import CShims
internal import EventLoop
internal import Glibc

/// Programs of the system that make disks.
enum ForeignTool {
    /// Runs a program to its end; its exit status, or 128 plus the signal.
    static func run(_ arguments: [String], loop: EventLoop) async throws -> Int32 {
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
