public import Base
internal import Glibc

/// What a caller gives for a repository behind ssh.
public struct SSHIdentity: Sendable {
    /// OpenSSH or PEM, without a passphrase; nil: none.
    public var privateKey: Secret<String>?
    /// Host keys in ssh's own form, and then no others; nil: a host's first key is kept and must not change.
    public var knownHosts: String?

    public init(privateKey: Secret<String>?, knownHosts: String? = nil) {
        self.privateKey = privateKey
        self.knownHosts = knownHosts
    }

    /// Runs `body` with the key in a file that only Berth's own user can read, and removes the file.
    /// - Parameters:
    ///   - directory: of mode 0700.
    ///   - name: of the files; one that nobody else uses.
    ///   - keptHosts: the file of host keys that were accepted before.
    public func withAccess<Value: Sendable>(
        directory: String,
        name: String,
        keptHosts: String,
        _ body: (RemoteAccess) async throws -> Value
    ) async throws -> Value {
        let files = (key: "\(directory)/\(Self.prefix)\(name)", hosts: "\(directory)/\(Self.prefix)\(name).hosts")
        defer {
            Self.erase(files.key)
            unlink(files.hosts)
        }
        var access = SSHAccess(keyFile: nil, knownHostsFile: keptHosts, acceptsNew: true)
        if let privateKey {
            // ssh refuses a key whose last line does not end.
            let text = privateKey.reveal()
            try Self.write(text.hasSuffix("\n") ? text : text + "\n", to: files.key)
            access.keyFile = files.key
        }
        if let knownHosts {
            try Self.write(knownHosts.hasSuffix("\n") ? knownHosts : knownHosts + "\n", to: files.hosts)
            access.knownHostsFile = files.hosts
            access.acceptsNew = false
        }
        return try await body(.ssh(access))
    }

    /// Removes what a predecessor could not, because it was killed. To be called before the first operation.
    public static func sweep(_ directory: String) {
        guard let stream = opendir(directory) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasPrefix(prefix) { erase("\(directory)/\(name)") }
        }
    }

    private static let prefix = "ssh-"

    /// Writes over a file before it goes: the blocks of a removed one keep their bytes on the disk.
    private static func erase(_ path: String) {
        let file = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
        guard file >= 0 else { return }
        let size = max(0, Int(lseek(file, 0, SEEK_END)))
        let zeros = [UInt8](repeating: 0, count: min(size, 1 << 20))
        _ = zeros.withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, 0) }
        fsync(file)
        close(file)
        unlink(path)
    }

    private static func write(_ text: String, to path: String) throws(BerthError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        let bytes = Array(text.utf8)
        let written = file < 0 ? -1 : bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        if file >= 0 { close(file) }
        guard written == bytes.count else {
            throw BerthError(
                errno == ENOSPC ? .diskFull : .internal,
                "the key for the repository cannot be laid down",
                detail: "errno \(errno)"
            )
        }
    }
}
