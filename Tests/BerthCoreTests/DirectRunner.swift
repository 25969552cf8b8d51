import AgentProtocol
import Base
import BerthCore
import EventLoop
import Glibc
import TestSupport

/// Runs programs as children of the test, with their output in files.
struct DirectRunner: ProcessRunner {
    let directory: String
    let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())
    /// Gets every argument vector and environment, so that a test can look for secrets in them.
    var spy: @Sendable (ProcessCommand) -> Void = { _ in }

    func run(_ command: ProcessCommand) async throws -> ProcessResult {
        spy(command)
        let stem = "\(directory)/\(ids.make(RequestKind.self))"
        let outPath = stem + ".out"
        let errPath = stem + ".err"
        defer {
            unlink(outPath)
            unlink(errPath)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, outPath, O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errPath, O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_addchdir_np(&actions, command.directory)
        var arguments = command.arguments.map { strdup($0) } + [nil]
        var environment = command.environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for word in arguments + environment { free(word) } }
        var child: pid_t = 0
        let status = posix_spawnp(&child, command.arguments[0], &actions, nil, &arguments, &environment)
        guard status == 0 else { throw BerthError(.agentMissing, "cannot run \(command.arguments[0]): \(status)") }
        let time = SystemTime()
        let deadline = time.uptime + command.deadline
        var ended: CInt = 0
        while waitpid(child, &ended, WNOHANG) == 0 {
            if time.uptime > deadline || Task.isCancelled {
                kill(child, SIGKILL)
                waitpid(child, &ended, 0)
                throw BerthError(.timedOut, "\(command.arguments[0]) took too long")
            }
            try? await time.wait(for: .milliseconds(2))
        }
        return ProcessResult(
            end: ended & 0x7F == 0 ? .exited((ended >> 8) & 0xFF) : .signalled(ended & 0x7F),
            output: contents(outPath),
            errors: contents(errPath)
        )
    }
}

func contents(_ path: String) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while case let count = read(file, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
    return bytes
}
