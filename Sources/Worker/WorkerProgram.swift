public import Base
internal import BerthCore
internal import EventLoop
internal import Glibc
internal import Subprocess
internal import Transport

/// The program `berth-worker`.
public enum WorkerProgram {
    static let version = "0.1.0"

    /// - Returns: the exit status.
    public static func main() async -> Int32 {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch arguments.first {
        case "git-credential":
            let path = getenv(CredentialProgram.socketVariable).map { String(cString: $0) } ?? ""
            return CredentialProgram.run(operation: arguments.last ?? "", socketPath: path)
        case "--help", "-h":
            print(WorkerOptions.usage)
            return 0
        case "--version":
            print("berth-worker \(version)")
            return 0
        default: break
        }
        let sink = StandardErrorSink()
        do {
            let options = try WorkerOptions(arguments: arguments, environment: environment())
            try await run(options, sink: sink)
            return 0
        } catch {
            let known = BerthError(wrapping: error)
            sink.write("berth-worker: \(known)\(known.detail.map { " [\($0)]" } ?? "")")
            return known.code.exitStatus
        }
    }

    /// Runs until SIGTERM or SIGINT, or until the holder is gone. What agents run goes on in the holder.
    public static func run(_ options: WorkerOptions, sink: any LogSink) async throws {
        signal(SIGPIPE, SIG_IGN)
        let loop = try EventLoop(name: "worker")
        loop.start()
        defer { loop.stop() }
        let worker = try await Worker(options, loop: loop, sink: sink)
        try await worker.run()
    }

    private static func environment() -> [String: String] {
        var result: [String: String] = [:]
        for name in ["BERTH_HOLD_SOCKET", "BERTH_ENVIRONMENT_ID", "BERTH_INSTANCE", "PATH", "HOME"] {
            result[name] = getenv(name).map { String(cString: $0) }
        }
        return result
    }
}
