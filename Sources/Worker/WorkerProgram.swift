internal import Base
internal import BerthCore
internal import EventLoop
internal import Glibc
internal import Subprocess
internal import Transport
internal import WorkspaceFiles

/// The program `berth-worker`.
public enum WorkerProgram {
    static let version = "0.1.0"

    public static func main() -> Never {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch arguments.first {
        case "git-credential":
            let path = getenv(CredentialProgram.socketVariable).map { String(cString: $0) } ?? ""
            exit(CredentialProgram.run(operation: arguments.last ?? "", socketPath: path))
        case FileProgram.word: exit(FileProgram.run(Array(arguments.dropFirst())))
        case "carriage": exit(CarriageProgram.run(Array(arguments.dropFirst())))
        case "--help", "-h":
            print(WorkerOptions.usage)
            exit(0)
        case "--version":
            print("berth-worker \(version)")
            exit(0)
        default: LoopProgram.main(name: "worker") { loop in await run(arguments, loop) }
        }
    }

    private static func run(_ arguments: [String], _ loop: EventLoop) async -> Int32 {
        let sink = LoopLogSink()
        do {
            let options = try WorkerOptions(arguments: arguments, environment: environment())
            try await run(options, loop: loop, sink: sink)
            return 0
        } catch {
            let known = BerthError(wrapping: error)
            sink.write("berth-worker: \(known)\(known.detail.map { " [\($0)]" } ?? "")")
            return known.code.exitStatus
        }
    }

    /// Runs until SIGTERM or SIGINT, or until the holder is gone. What agents run goes on in the holder.
    static func run(_ options: WorkerOptions, loop: EventLoop, sink: any LogSink) async throws {
        signal(SIGPIPE, SIG_IGN)
        let worker = try await Worker(options, loop: loop, sink: sink)
        try await worker.run()
    }

    private static func environment() -> [String: String] {
        var result: [String: String] = [:]
        for name in WorkerOptions.variables {
            result[name] = getenv(name).map { String(cString: $0) }
        }
        return result
    }
}
