import Base
import Glibc

/// The caller's own git, run on the caller's machine to its end. Blocks; a command does nothing else meanwhile.
struct GitCommand: Sendable {
    var status: Int32
    var output: [UInt8]
    var errors: String

    var succeeded: Bool { status == 0 }
    var text: String { String(decoding: output, as: UTF8.self).trimmed }

    /// What git itself said last.
    var complaint: String {
        let lines = errors.split(whereSeparator: \.isNewline).map { String($0).trimmed }
        return lines.last { $0.hasPrefix("fatal:") || $0.hasPrefix("error:") } ?? lines.last ?? "git said nothing"
    }

    /// - Parameters:
    ///   - directory: where it runs, as git's own `-C`.
    ///   - file: takes its standard output instead of memory.
    /// - Throws: where there is no git.
    static func run(
        _ arguments: [String],
        in directory: String,
        environment: [String: String],
        into file: CInt? = nil
    ) throws(BerthError) -> GitCommand {
        try run(
            words: ["git", "-C", directory] + arguments,
            environment: environment,
            into: file,
            remedy: "install git, or give the repository as a URL"
        )
    }

    /// Any program of the caller's, in the same way.
    static func run(words: [String], environment: [String: String], into file: CInt? = nil, remedy: String)
        throws(BerthError) -> GitCommand
    {
        // Words are looked for in what it says; nothing may wait for a person.
        let variables = environment.merging(["LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"]) {
            $1
        }
        guard let output = Pipe(), let errors = Pipe() else {
            throw BerthError(.unavailable, "no descriptors are left for \(words[0])", detail: "errno \(errno)")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, file ?? output.write, 1)
        posix_spawn_file_actions_adddup2(&actions, errors.write, 2)
        let argv = words.map { strdup($0) } + [nil]
        let envp = variables.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let failure = posix_spawnp(&pid, words[0], &actions, nil, argv, envp)
        close(output.write)
        close(errors.write)
        defer {
            close(output.read)
            close(errors.read)
        }
        guard failure == 0 else {
            throw BerthError(
                .unsupported,
                "there is no \(words[0]) on this machine",
                remedy: remedy,
                detail: "errno \(failure)"
            )
        }
        let texts = collect(output.read, errors.read)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        return GitCommand(status: code, output: texts.output, errors: String(decoding: texts.errors, as: UTF8.self))
    }

    private struct Pipe {
        var read: CInt
        var write: CInt

        init?() {
            var ends: [CInt] = [0, 0]
            guard pipe(&ends) == 0 else { return nil }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            (read, write) = (ends[0], ends[1])
        }
    }

    private static func collect(_ output: CInt, _ errors: CInt) -> (output: [UInt8], errors: [UInt8]) {
        var polls = [
            pollfd(fd: output, events: Int16(POLLIN), revents: 0),
            pollfd(fd: errors, events: Int16(POLLIN), revents: 0),
        ]
        var texts: [[UInt8]] = [[], []]
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while polls.contains(where: { $0.fd >= 0 }) {
            guard poll(&polls, 2, -1) > 0 else { continue }
            for index in polls.indices where polls[index].fd >= 0 && polls[index].revents != 0 {
                let count = read(polls[index].fd, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                if count > 0 { texts[index] += buffer[..<count] } else { polls[index].fd = -1 }
            }
        }
        return (texts[0], texts[1])
    }
}
