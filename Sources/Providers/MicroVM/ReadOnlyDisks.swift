internal import Base
internal import Domain
internal import EventLoop
internal import FoundationEssentials
internal import Glibc

/// Disks with programs and agents that guests mount read-only: made once of each version, in `<data>/microvm`. A machine
/// that runs keeps what it has mounted, so an older version can go as soon as there is a newer one.
struct ReadOnlyDisks: Sendable {
    let directory: String
    let loop: EventLoop

    /// Holder and worker, as `berth-hold` and `berth-worker`.
    func programs(_ programs: InstancePrograms) async throws -> String {
        let files = [("berth-hold", programs.holder), ("berth-worker", programs.worker)]
        var stamp = Stamp()
        for (_, path) in files { try stamp.add(path) }
        return try await disk("programs", stamp) { part in
            let stage = part + ".files"
            try? FileManager.default.removeItem(atPath: stage)
            try SmallFile.makeDirectory(stage)
            defer { try? FileManager.default.removeItem(atPath: stage) }
            guard chmod(stage, 0o755) == 0 else { throw SmallFile.failure("set the mode of", stage) }
            for (name, path) in files {
                try await tool(["/bin/cp", "--dereference", "--reflink=auto", path, "\(stage)/\(name)"])
                guard chmod("\(stage)/\(name)", 0o755) == 0 else { throw SmallFile.failure("set the mode of", name) }
            }
            try await make(part, of: stage, stamp)
        }
    }

    func agent(_ agent: AgentMount) async throws -> String {
        try agent.checkName()
        let source = try SmallFile.resolved(agent.directory)
        var stamp = Stamp()
        try stamp.addTree(source)
        return try await disk("agent-\(agent.name)", stamp) { part in try await make(part, of: source, stamp) }
    }

    private func disk(_ name: String, _ stamp: Stamp, make: (String) async throws -> Void) async throws -> String {
        let path = "\(directory)/\(name)-\(stamp.text).ext4"
        if SmallFile.exists(path) { return path }
        // Two that make it at once both make all of it; the second takes the first one's place.
        let part = "\(path).\(getpid()).part"
        do {
            try await make(part)
        } catch {
            unlink(part)
            throw error
        }
        guard rename(part, path) == 0 else { throw SmallFile.failure("make", path) }
        let prefix = name + "-"
        for old in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        where old.hasPrefix(prefix) && old.hasSuffix(".ext4") && "\(directory)/\(old)" != path
            && old.utf8.count == prefix.utf8.count + stamp.text.utf8.count + 5
        { unlink("\(directory)/\(old)") }
        return path
    }

    private func make(_ part: String, of source: String, _ stamp: Stamp) async throws {
        // There already, so that mke2fs does not tell that it makes it.
        let file = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard file >= 0 else { throw SmallFile.failure("make", part) }
        close(file)
        let kilobytes = stamp.bytes / 1024 + stamp.bytes / 10240 + Int64(stamp.files) * 5 + 2048
        try await tool([
            LocalHost.mkfs, "-q", "-F", "-t", "ext4", "-O", "^has_journal,^resize_inode", "-m", "0", "-N",
            "\(stamp.files + 64)", "-E", "root_owner=0:0", "-d", source, part, "\(kilobytes)k",
        ])
        chmod(part, 0o644)
    }

    private func tool(_ arguments: [String]) async throws {
        let status = try await ForeignTool.run(arguments, loop: loop)
        guard status == 0 else {
            throw BerthError(
                .unavailable,
                "\(arguments[0]) could not make a disk in \(directory) (status \(status))",
                remedy: "see whether the file system is full"
            )
        }
    }

    /// Tells versions apart by what stat(2) says of every file.
    private struct Stamp {
        var files = 0
        var bytes: Int64 = 0
        private var hash: UInt64 = 0xCBF2_9CE4_8422_2325

        var text: String {
            let digits = String(hash, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }

        mutating func add(_ path: String) throws {
            var status = stat()
            guard stat(path, &status) == 0 else { throw SmallFile.failure("find", path) }
            add(path, status)
        }

        mutating func addTree(_ path: String) throws {
            var status = stat()
            guard lstat(path, &status) == 0 else { throw SmallFile.failure("find", path) }
            add(path, status)
            guard status.st_mode & S_IFMT == S_IFDIR else { return }
            for name in try FileManager.default.contentsOfDirectory(atPath: path).sorted() {
                try addTree("\(path)/\(name)")
            }
        }

        private mutating func add(_ path: String, _ status: stat) {
            files += 1
            bytes += Int64(status.st_size)
            let words = [
                UInt64(status.st_ino), UInt64(status.st_size), UInt64(status.st_mtim.tv_sec),
                UInt64(status.st_mtim.tv_nsec),
            ]
            // FNV-1a
            for byte in Array(path.utf8) + words.flatMap({ word in (0..<8).map { UInt8(word >> ($0 * 8) & 255) } }) {
                hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
            }
        }
    }
}
