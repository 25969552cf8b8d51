internal import Base
internal import Glibc

/// git with this process's own rights, read as it writes.
enum SpawnedProgram {
    struct Status {
        var code: Int32
        var errors: [UInt8]
    }

    /// - Parameters:
    ///   - arguments: `git` and its own.
    ///   - take: returns false when it wants no more; the program is then killed.
    static func run(_ arguments: [String], in directory: PathBytes, _ take: (ArraySlice<UInt8>) -> Bool)
        throws(BerthError)
        -> Status
    {
        var output: [CInt] = [-1, -1]
        var errors: [CInt] = [-1, -1]
        guard pipe(&output) == 0, pipe(&errors) == 0 else {
            throw BerthError(.internal, "no descriptor is left")
        }
        let (outputEnd, errorEnd) = (Handle(output[0]), Handle(errors[0]))
        var pid = pid_t()
        let failure = spawn(arguments, directory, output: output, errors: errors, &pid)
        close(output[1])
        close(errors[1])
        guard failure == 0 else {
            throw BerthError(
                .unsupported,
                "'\(arguments[0])' cannot be started in this environment: \(String(cString: strerror(failure)))",
                remedy: "install it there"
            )
        }
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var said: [UInt8] = []
        var isStopped = false
        // Little is said on standard error, and never before the end of what is found.
        while case let count = read(outputEnd.descriptor, &buffer, buffer.count),
            count > 0 || (count < 0 && errno == EINTR)
        {
            if count > 0, !take(buffer[..<count]) {
                isStopped = true
                kill(pid, SIGKILL)
                break
            }
        }
        while !isStopped, case let count = read(errorEnd.descriptor, &buffer, buffer.count),
            count > 0 || (count < 0 && errno == EINTR)
        {
            if count > 0 { said = (said + buffer[..<count]).suffix(4096) }
        }
        var status: CInt = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return Status(code: status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F), errors: said)
    }

    private static func spawn(
        _ arguments: [String],
        _ directory: PathBytes,
        output: [CInt],
        errors: [CInt],
        _ pid: inout pid_t
    ) -> CInt {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output[1], 1)
        posix_spawn_file_actions_adddup2(&actions, errors[1], 2)
        for descriptor in output + errors { posix_spawn_file_actions_addclose(&actions, descriptor) }
        // By git's own option: this process's directory is that of all its threads.
        let place = [strdup("-C"), directory.withPath { strdup($0) }]
        let words = [strdup(arguments[0])] + place + arguments.dropFirst().map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        return posix_spawnp(&pid, arguments[0], &actions, nil, words, environ)
    }
}
