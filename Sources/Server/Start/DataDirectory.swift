import API
import Base
import FoundationEssentials
import Glibc

/// The directory of everything a server keeps: 0700, and one server at a time.
public struct DataDirectory: Sendable {
    public let path: String

    public init(path: String) { self.path = path }

    var databasePath: String { path + "/berth.sqlite" }
    var outputPath: String { path + "/output" }
    var uploadsPath: String { path + "/uploads" }
    var bundlesPath: String { path + "/bundles" }
    var handOversPath: String { path + "/hand-overs" }
    var environmentsPath: String { path + "/environments" }
    private var replicaIDPath: String { path + "/replica-id" }
    var masterKeyPath: String { path + "/master.key" }
    public var apiKeyPath: String { path + "/api-key" }
    public var serverFilePath: String { path + "/server.json" }

    /// Makes what is missing and closes it to others.
    func prepare() throws(BerthError) {
        for directory in [path, outputPath, environmentsPath] { try Self.makeDirectory(directory) }
        guard chmod(path, 0o700) == 0 else { throw failure("is not ours to close to others") }
        guard access(path, W_OK | X_OK) == 0 else { throw failure("cannot be written") }
    }

    /// Held for as long as the returned descriptor is open, so also released by kill -9. A program that the last server
    /// was just starting when it died holds it until its exec, so a taken lock is asked for again for a second.
    func lock(time: any TimeSource) async throws -> DirectoryLock {
        let descriptor = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("cannot hold a lock file") }
        let patience = time.uptime + .seconds(1)
        var isHeld = flock(descriptor, LOCK_EX | LOCK_NB) == 0
        while !isHeld, time.uptime < patience {
            try await time.wait(for: .milliseconds(20))
            isHeld = flock(descriptor, LOCK_EX | LOCK_NB) == 0
        }
        guard isHeld else {
            close(descriptor)
            throw BerthError(
                .conflict,
                "another server uses \(path)",
                field: "data",
                remedy: "stop it, or give this one another directory with --data"
            )
        }
        return DirectoryLock(descriptor: descriptor)
    }

    /// Replaces `name` at once: a reader sees the old file or the new one. Mode 0600.
    func write(_ text: String, to name: String) throws(BerthError) {
        let target = "\(path)/\(name)"
        let draft = "\(target).new"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("has no room for \(name)") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, rename(draft, target) == 0 else {
            throw failure("has no room for \(name)")
        }
    }

    /// The name of the server that keeps this directory, made at its first start. Its environments are on this machine,
    /// so the name stays with their files.
    func replicaID(_ ids: IDSource) throws(BerthError) -> ReplicaID {
        guard Files.exists(replicaIDPath) else {
            let made: ReplicaID = ids.make()
            try write(made.text + "\n", to: "replica-id")
            return made
        }
        guard let text = Files.text(replicaIDPath)?.trimmed, let known = try? ReplicaID(text) else {
            throw BerthError(
                .internal,
                "\(replicaIDPath) does not hold the name of a server",
                remedy: "restore it from a backup; without it the server does not know which environments are its own"
            )
        }
        return known
    }

    func remove(_ name: String) { unlink("\(path)/\(name)") }

    private func failure(_ what: String) -> BerthError {
        BerthError(
            errno == ENOSPC ? .diskFull : .unavailable,
            "the data directory \(path) \(what)",
            field: "data",
            remedy: "check its owner, mode and file system, or give another one with --data",
            detail: String(cString: strerror(errno))
        )
    }

    static func makeDirectory(_ path: String) throws(BerthError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw BerthError(
                .unavailable,
                "the directory \(path) cannot be made",
                field: "data",
                remedy: "check the owner and mode of the directories above it",
                detail: String(describing: error)
            )
        }
    }
}

/// Owns the lock's descriptor.
struct DirectoryLock: ~Copyable, Sendable {
    fileprivate let descriptor: Int32

    deinit {
        // Closing alone would leave the lock to a child that is between fork and exec.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}

/// Small questions about files.
public enum Files {
    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
    public static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }

    /// nil where the file is missing or not UTF-8.
    static func text(_ path: String) -> String? {
        (try? Data(contentsOf: URL(filePath: path))).flatMap { String(validating: $0, as: UTF8.self) }
    }
}
