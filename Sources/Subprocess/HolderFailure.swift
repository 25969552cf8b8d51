public import Base
internal import Glibc
internal import HolderProtocol

extension ErrorCode {
    /// The program of a spawn does not exist.
    public static let programMissing = ErrorCode(rawValue: "program_missing")
    /// The program of a spawn exists and cannot be executed.
    public static let programNotExecutable = ErrorCode(rawValue: "program_not_executable")
    /// The working directory of a spawn cannot be entered.
    public static let directoryUnusable = ErrorCode(rawValue: "directory_unusable")
    /// Another step of a spawn failed; `detail` names it and its errno.
    public static let spawnFailed = ErrorCode(rawValue: "spawn_failed")
}

extension BerthError {
    /// The holder's refusal of `request`, told in terms of what was asked for.
    static func holder(_ failure: Failure, request: Request) -> BerthError {
        switch failure.code {
        case .spawnFailed:
            if case .spawn(let spawn) = request { return self.spawn(failure, spawn) }
            return BerthError(.spawnFailed, failure.message)
        case .unknownChild: return BerthError(.notFound, failure.message)
        case .invalidRequest: return BerthError(.invalidRequest, failure.message)
        case .tooMany: return BerthError(.quotaExceeded, failure.message)
        case .stopping: return BerthError(.unavailable, failure.message)
        case .unsupportedVersion:
            return BerthError(.protocolViolation, failure.message, remedy: "restart the environment")
        case .notATerminal, .stillRunning: return BerthError(.illegalTransition, failure.message)
        case .unknown: return BerthError(.internal, failure.message)
        }
    }

    private static func spawn(_ failure: Failure, _ spawn: SpawnRequest) -> BerthError {
        let program = spawn.arguments.first ?? ""
        let reason = String(cString: strerror(failure.errno))
        let step = failure.step.map { "\($0)" } ?? "unknown"
        let detail = "step \(step), errno \(failure.errno) (\(reason))"
        switch (failure.step, failure.errno) {
        case (.execute, ENOENT):
            return BerthError(
                .programMissing,
                "the program '\(program)' was not found",
                remedy: program.utf8.contains(UInt8(ascii: "/")) ? nil : "install it, or put its directory on PATH",
                detail: detail
            )
        case (.execute, E2BIG):
            return BerthError(
                .tooLarge,
                "arguments and environment of '\(program)' are longer than the system takes",
                remedy: "pass large texts as input",
                detail: detail
            )
        case (.execute, _):
            return BerthError(
                .programNotExecutable,
                "the program '\(program)' cannot be executed: \(reason)",
                detail: detail
            )
        case (.directory, _):
            return BerthError(
                .directoryUnusable,
                "the directory '\(spawn.directory)' cannot be entered: \(reason)",
                remedy: "give a directory that exists in the environment",
                detail: detail
            )
        default:
            let isRetryable = failure.errno == EAGAIN || failure.errno == ENOMEM
            return BerthError(
                .spawnFailed,
                "'\(program)' could not be started: \(step) failed with \(reason)",
                detail: detail,
                isRetryable: isRetryable
            )
        }
    }

    static func holderGone(_ why: String) -> BerthError {
        BerthError(.unavailable, "the holder's socket is closed", detail: why, isRetryable: true)
    }
}
