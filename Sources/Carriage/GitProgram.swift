internal import Base
internal import Glibc

/// The real git, run to its end by a program that does nothing else meanwhile. Nobody's configuration but the
/// repository's own has a say, and no hook.
struct GitProgram {
    let programs: String
    let home: String
    let directory: String

    struct Output {
        var status: CInt
        var bytes: [UInt8]
        var errors: String

        var text: String { String(decoding: bytes, as: UTF8.self) }
        var line: String { text.trimmed }

        func checked(_ what: String) throws(BerthError) -> Output {
            guard status == 0 else {
                let isFull = errors.contains("No space left on device")
                throw BerthError(
                    isFull ? .diskFull : .internal,
                    isFull
                        ? "the environment's disk has no room for the hand-over"
                        : "git could not \(what): \(errors.split(separator: "\n").last ?? "it gave no reason")",
                    remedy: isFull ? "free space in the environment or give it a larger disk" : nil,
                    detail: String(errors.suffix(4000))
                )
            }
            return self
        }
    }

    private static let settings = [
        "credential.helper=", "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.untrackedCache=false",
        "gc.auto=0", "safe.directory=*", "advice.detachedHead=false", "core.quotePath=false",
    ]

    /// - Parameters:
    ///   - input: standard input.
    ///   - output: a file that takes standard output in place of memory.
    ///   - index: another index than the repository's.
    ///   - inputFile: a file that gives standard input in place of memory, from where it stands.
    func run(
        _ arguments: [String],
        input: [UInt8] = [],
        inputFile: CInt? = nil,
        output: CInt? = nil,
        index: String? = nil
    ) throws(BerthError) -> Output {
        let given: CInt
        if let inputFile { given = inputFile } else { given = try Self.nameless() }
        let taken: CInt
        if let output { taken = output } else { taken = try Self.nameless() }
        let errors = try Self.nameless()
        defer {
            if inputFile == nil { close(given) }
            if output == nil { close(taken) }
            close(errors)
        }
        if inputFile == nil {
            try OpenedFile.write(input, to: given)
            lseek(given, 0, SEEK_SET)
        }
        var variables = [
            "PATH=\(programs)", "HOME=\(home)", "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1",
            "GIT_CONFIG_GLOBAL=/dev/null", "GIT_OPTIONAL_LOCKS=0", "GIT_LFS_SKIP_SMUDGE=1", "GIT_NO_LAZY_FETCH=1",
        ]
        if let index { variables.append("GIT_INDEX_FILE=\(index)") }
        let words = ["git", "-C", directory] + Self.settings.flatMap { ["-c", $0] } + arguments
        let status = try Self.spawn(words, variables, programs: programs, [given, taken, errors])
        return Output(
            status: status,
            bytes: output == nil ? try Self.content(taken) : [],
            errors: String(decoding: try Self.content(errors), as: UTF8.self)
        )
    }

    /// An open file without a name.
    private static func nameless() throws(BerthError) -> CInt {
        for directory in ["/dev/shm", "/tmp", "/var/tmp"] {
            var name = Array("\(directory)/berth-XXXXXX".utf8CString)
            let file = mkstemp(&name)
            guard file >= 0 else { continue }
            unlink(name)
            return file
        }
        throw OpenedFile.failure("made", "/tmp")
    }

    private static func content(_ file: CInt) throws(BerthError) -> [UInt8] {
        let size = Int(lseek(file, 0, SEEK_END))
        lseek(file, 0, SEEK_SET)
        var bytes: [UInt8] = []
        while bytes.count < size {
            let more = try OpenedFile.read(file, upTo: size - bytes.count)
            guard !more.isEmpty else { break }
            bytes += more
        }
        return bytes
    }

    /// - Parameter files: standard input, output and error.
    /// - Returns: the exit status; 128 and the signal's number where one ended it.
    private static func spawn(_ words: [String], _ variables: [String], programs: String, _ files: [CInt])
        throws(BerthError) -> CInt
    {
        guard let program = find(words[0], in: programs) else {
            throw BerthError(
                .agentMissing,
                "git is not installed in the environment",
                remedy: "install it there; hand-overs need it"
            )
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (target, file) in files.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, file, CInt(target))
        }
        var pid: pid_t = 0
        let arguments = words.map { strdup($0) } + [nil]
        let environment = variables.map { strdup($0) } + [nil]
        defer { for pointer in arguments + environment { free(pointer) } }
        let failure = posix_spawn(&pid, program, &actions, nil, arguments, environment)
        guard failure == 0 else {
            throw BerthError(.internal, "git cannot be started", detail: "errno \(failure)")
        }
        var status: CInt = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }

    private static func find(_ name: String, in programs: String) -> String? {
        programs.split(separator: ":").lazy.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
}
