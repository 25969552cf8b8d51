import Base
import FoundationEssentials
import Glibc

/// Where `berth ssh` keeps this person's key and the host keys of environments: `~/.config/berth/ssh`, theirs alone.
struct SSHFolder: Sendable {
    let path: String

    init(_ environment: [String: String]) throws(BerthError) {
        let home = environment["HOME"] ?? "/root"
        path = (environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? "\(home)/.config") + "/berth/ssh"
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw BerthError(.unavailable, "\(path) cannot be made", remedy: "check its permissions")
        }
    }

    var identity: String { path + "/id_ed25519" }
    var knownHosts: String { path + "/known_hosts" }

    /// The line of the public key; the pair is made the first time.
    func publicKey() throws(BerthError) -> String {
        if let known = try? Input.file(identity + ".pub", field: "key") { return known.trimmed }
        // Two that begin at once: the first rename wins, both read the same in the end.
        let draft = "\(identity).\(getpid())"
        let made = try Launch.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "berth", "-f", draft])
        guard made == 0 else {
            throw BerthError(
                .unsupported,
                "no SSH key could be made",
                remedy: "install OpenSSH's client: it brings ssh and ssh-keygen"
            )
        }
        if link(draft, identity) == 0 { rename(draft + ".pub", identity + ".pub") } else { unlink(draft + ".pub") }
        unlink(draft)
        return try Input.file(identity + ".pub", field: "key").trimmed
    }

    /// Keeps the host key under the name that clients look for. The server is believed: the connection to it is the one
    /// that the key came over.
    func remember(_ hostKey: String, of alias: String) throws(BerthError) {
        let file = open(knownHosts + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        _ = flock(file, LOCK_EX)
        let before = (try? Input.file(knownHosts, field: "known_hosts")) ?? ""
        let line = "\(alias) \(hostKey)"
        var lines = before.split(separator: "\n").map(String.init)
        if lines.contains(line) { return }
        lines.removeAll { $0.hasPrefix(alias + " ") }
        lines.append(line)
        try Self.replace(knownHosts, with: lines.joined(separator: "\n") + "\n")
    }

    /// Whole or not at all, for its owner alone.
    static func replace(_ path: String, with text: String) throws(BerthError) {
        let draft = "\(path).berth-\(getpid())"
        let file = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            throw BerthError(.unavailable, "\(path) cannot be written", remedy: "check its permissions")
        }
        let bytes = Array(text.utf8)
        let isWhole = Glibc.write(file, bytes, bytes.count) == bytes.count
        close(file)
        guard isWhole, rename(draft, path) == 0 else {
            unlink(draft)
            throw BerthError(.unavailable, "\(path) cannot be written", remedy: "check the disk and its permissions")
        }
    }
}

/// Programs of this machine.
enum Launch {
    /// Runs a program to its end, with this process's streams. Returns its status, 127 where there is none.
    static func run(_ arguments: [String]) throws(BerthError) -> Int32 {
        let argv = arguments.map { strdup($0) } + [nil]
        defer { for pointer in argv { free(pointer) } }
        var pid: pid_t = 0
        guard posix_spawnp(&pid, arguments[0], nil, nil, argv, environ) == 0 else { return 127 }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }

    /// Becomes another program; returns only where that fails.
    static func become(_ arguments: [String]) -> BerthError {
        let argv = arguments.map { strdup($0) } + [nil]
        signal(SIGPIPE, SIG_DFL)
        execvp(arguments[0], argv)
        return BerthError(
            .unsupported,
            "'\(arguments[0])' cannot be started: \(String(cString: strerror(errno)))",
            remedy: "install it"
        )
    }

    /// The path of the running program.
    static var ownPath: String {
        guard let path = realpath("/proc/self/exe", nil) else { return "berth" }
        defer { free(path) }
        return String(cString: path)
    }

    /// As one word for a shell.
    static func quoted(_ word: String) -> String {
        "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
