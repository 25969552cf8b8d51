internal import Base
internal import CShims
internal import EventLoop
internal import Glibc

/// Starts monitors: `berth-hold sandbox`, detached from the server (own session, nothing inherited), so that it and all
/// below it live on when the server dies.
struct Launcher: Sendable {
    /// Path of `berth-hold` on the host.
    var program: String
    var loop: EventLoop
    var time: any TimeSource

    /// Starts what `spec` says. `logPath` gets what the launcher and the holder complain about.
    func launch(_ spec: LaunchSpec, logPath: String) async throws {
        let answer = try await ask(spec, logPath: logPath)
        if answer.hasPrefix("ok ") { return }
        throw Self.failure(answer)
    }

    private func ask(_ spec: LaunchSpec, logPath: String) async throws -> String {
        let (writer, reader) = try open(logPath: logPath)
        defer { reader.closeSoon() }
        do {
            return try await withDeadline(.seconds(20), time: time, what: "the start of the sandbox") {
                try await Self.send(spec.bytes, to: writer)
                await writer.close()
                return try await Self.line(from: reader)
            }
        } catch {
            writer.closeSoon()
            throw error
        }
    }

    /// A monitor's standard input and output.
    func open(logPath: String) throws(BerthError) -> (writer: Descriptor, reader: Descriptor) {
        var input: Int32 = -1
        var output: Int32 = -1
        let log = Glibc.open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        let started = berth_launch(program, log, &input, &output)
        if log >= 0 { close(log) }
        guard started > 0 else {
            throw BerthError(
                .unavailable,
                "cannot start \(program): \(String(cString: strerror(-started)))",
                remedy: "berth-hold belongs beside the berth program"
            )
        }
        return (
            Descriptor(input, loop: loop, closingFile: true), Descriptor(output, loop: loop, closingFile: true)
        )
    }

    static func send(_ bytes: [UInt8], to writer: Descriptor) async throws {
        var rest = bytes[...]
        try await writer.writable()
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(writer.fileDescriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                try await writer.writable()
            } else if errno != EINTR {
                return  // it died; its answer, or the lack of one, says why
            }
        }
    }

    /// What comes until a line or the output ends.
    static func line(from reader: Descriptor) async throws -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while bytes.last != UInt8(ascii: "\n"), bytes.count < 4096 {
            try await reader.readable()
            let count = read(reader.fileDescriptor, &buffer, buffer.count)
            if count > 0 {
                bytes += buffer.prefix(count)
            } else if count == 0 {
                break
            } else if errno != EAGAIN, errno != EINTR {
                break
            }
        }
        return String(decoding: bytes, as: UTF8.self).trimmed
    }

    /// `error ERRNO STEP: SUBJECT` as an error for people.
    static func failure(_ answer: String) -> BerthError {
        let words = answer.split(separator: " ", maxSplits: 2)
        guard words.count == 3, words[0] == "error", let number = Int32(words[1]) else {
            return BerthError(.unavailable, "the sandbox could not be started", detail: answer, isRetryable: true)
        }
        let step = String(words[2])
        let reason = number == 0 ? "" : " (\(String(cString: strerror(number))))"
        if step.hasPrefix("lock:"), number == EWOULDBLOCK {
            return BerthError(.illegalTransition, "the environment already has a running instance")
        }
        let remedy: String? =
            switch true {
            case step.hasPrefix("map the ids of"):
                "the data directory, the cache and the programs must lie on a file system with idmapped mounts"
                    + " (ext4, xfs, btrfs, tmpfs; Linux 5.19 or later)"
            case step.hasPrefix("mount the overlay"):
                "the data directory must not itself lie on an overlay; ordinary users need Linux 5.11 or later"
            case step.hasPrefix("make a user namespace"):
                "user namespaces are switched off: see kernel.unprivileged_userns_clone and user.max_user_namespaces"
            case number == ENOSPC: "free space, or raise the limit the message names"
            default: nil
            }
        return BerthError(
            number == ENOSPC ? .diskFull : .unavailable,
            "the sandbox could not be started: could not \(step)\(reason)",
            remedy: remedy
        )
    }
}
