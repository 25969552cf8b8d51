internal import Base
internal import CShims
internal import EventLoop
internal import Glibc

/// One process of this boot: a pid is reused, a pid with its start time is not.
struct ProcessIdentity: Sendable, Equatable {
    var pid: Int32
    /// Clock ticks since boot (proc(5), field 22 of stat).
    var startTicks: UInt64

    /// A zombie has ended: only its parent has not looked yet.
    var isAlive: Bool {
        guard let found = Self.status(of: pid) else { return false }
        return found.startTicks == startTicks && found.state != "Z" && found.state != "X"
    }

    static func status(of pid: Int32) -> (state: Character, startTicks: UInt64)? {
        guard let text = SmallFile.read("/proc/\(pid)/stat"), let name = text.lastIndex(of: ")") else { return nil }
        // Fields 3 (state) to 22 (start time) follow the name, which may hold spaces itself.
        let fields = text[text.index(after: name)...].split(separator: " ", maxSplits: 20)
        guard fields.count > 19, let state = fields[0].first, let ticks = UInt64(fields[19]) else { return nil }
        return (state, ticks)
    }

    /// Signals exactly this process, or nobody.
    @discardableResult
    func signal(_ number: Int32) -> Bool {
        let descriptor = berth_process_open(pid)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        // Looked at after the descriptor is held: from here on the pid cannot become someone else.
        guard isAlive else { return false }
        return berth_process_signal(descriptor, number) == 0
    }

    /// Whether it ended within `duration`.
    func ends(within duration: Duration, time: any TimeSource, loop: EventLoop) async throws -> Bool {
        let descriptor = berth_process_open(pid)
        guard descriptor >= 0, isAlive else {
            if descriptor >= 0 { close(descriptor) }
            return true
        }
        let watched = Descriptor(descriptor, loop: loop, closingFile: true)
        defer { watched.closeSoon() }
        do {
            // A process descriptor becomes readable when its process ends.
            try await withDeadline(duration, time: time, what: "the end of process \(pid)") {
                try await watched.readable()
            }
            return true
        } catch let error as BerthError where error.code == .timedOut {
            return false
        }
    }
}

/// Files of a few hundred bytes, also those of /proc and of control groups, whose size says 0.
enum SmallFile {
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while bytes.count < 1 << 20 {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { break }
            bytes += buffer.prefix(count)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// User id of what `path` leads to; nil where there is nothing.
    static func owner(_ path: String) -> uid_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_uid : nil
    }

    /// When its contents last changed, in seconds; nil where there is nothing.
    static func changedAt(_ path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mtim.tv_sec : nil
    }

    /// One write(2) onto what exists.
    static func write(_ text: String, to path: String) throws(BerthError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("write", path) }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else { throw failure("write", path) }
    }

    /// Whole or not at all, 0600. A durable file's data is on the disk before it has its name.
    static func replace(_ path: String, with text: String, isDurable: Bool = false) throws(BerthError) {
        let part = path + ".part"
        let descriptor = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure("write", path) }
        let bytes = Array(text.utf8)
        let isWritten =
            Glibc.write(descriptor, bytes, bytes.count) == bytes.count && (!isDurable || fdatasync(descriptor) == 0)
        let number = errno
        close(descriptor)
        guard isWritten else { throw failure("write", path, number) }
        guard rename(part, path) == 0 else { throw failure("write", path) }
    }

    static func makeDirectory(_ path: String) throws(BerthError) {
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure("make the directory", path) }
    }

    static func resolved(_ path: String) throws(BerthError) -> String {
        guard let real = realpath(path, nil) else { throw failure("find", path) }
        defer { free(real) }
        return String(cString: real)
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func failure(_ verb: String, _ path: String, _ number: Int32 = errno) -> BerthError {
        let text = "cannot \(verb) \(path): \(String(cString: strerror(number)))"
        return switch number {
        case ENOSPC, EDQUOT: BerthError(.diskFull, text, remedy: "free space on that file system", isRetryable: true)
        case ENOENT: BerthError(.notFound, text)
        case EACCES, EPERM: BerthError(.forbidden, text)
        default: BerthError(.internal, text)
        }
    }
}
