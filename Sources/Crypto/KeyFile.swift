public import Base
import Glibc

/// The file that holds the deployment's keys, mode 0600: one of 64 hexadecimal digits a line, the current one first,
/// earlier ones below; lines with `#` are comments.
public enum KeyFile {
    /// Reads the file, or makes it with a new key when there is none. Throws `forbidden` when others may read it.
    public static func load(path: String, randomness: any Randomness) throws(BerthError) -> KeyRing {
        if let keys = try read(path) { return keys }
        try create(path, try MasterKey.make(randomness))
        // Whoever was first wins: a second server that starts at the same moment reads what the first one wrote.
        guard let keys = try read(path) else { throw failure("read", path, ENOENT) }
        return keys
    }

    private static func read(_ path: String) throws(BerthError) -> KeyRing? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw failure("open", path, errno) }
            return nil
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("stat", path, errno) }
        guard status.st_mode & 0o077 == 0 else {
            throw BerthError(
                .forbidden,
                "the key file can be read by others: \(path)",
                remedy: "chmod 600 \(path)"
            )
        }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { throw failure("read", path, errno) }
        var keys: [MasterKey] = []
        for line in String(decoding: bytes.prefix(count), as: UTF8.self).split(whereSeparator: \.isNewline) {
            let text = line.trimmed
            if text.isEmpty || text.hasPrefix("#") { continue }
            keys.append(try MasterKey(hex: Secret(text)))
        }
        guard let current = keys.first else {
            throw BerthError(
                .invalidValue,
                "the key file holds no key: \(path)",
                remedy: "restore it from a backup; without it stored secrets cannot be opened"
            )
        }
        return KeyRing(current: current, previous: Array(keys.dropFirst()))
    }

    /// Complete and on disk before it has its name.
    private static func create(_ path: String, _ key: MasterKey) throws(BerthError) {
        let draft = "\(path).\(getpid()).new"
        unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("create", path, errno) }
        defer {
            close(descriptor)
            unlink(draft)
        }
        let text = Array((key.hex.reveal() + "\n").utf8)
        guard write(descriptor, text, text.count) == text.count, fsync(descriptor) == 0 else {
            throw failure("write", path, errno)
        }
        guard link(draft, path) == 0 || errno == EEXIST else { throw failure("link", path, errno) }
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let parent = open(directory.isEmpty ? "/" : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if parent >= 0 {
            fsync(parent)
            close(parent)
        }
    }

    private static func failure(_ call: String, _ path: String, _ number: Int32) -> BerthError {
        BerthError(
            number == ENOSPC ? .diskFull : .unavailable,
            "the key file cannot be used: \(path)",
            remedy: "check the owner and the mode of its directory",
            detail: "\(call): \(String(cString: strerror(number)))"
        )
    }
}
