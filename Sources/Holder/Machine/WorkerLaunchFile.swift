internal import Glibc
internal import MachineLink

/// How a worker is started in a guest: `berth-hold launch FILE`, which the holder takes for the worker, reads the file and
/// becomes what it says. So the worker that comes after a fork has the fork's names, under the same holder.
enum WorkerLaunchFile {
    static func write(_ configuration: GuestConfiguration, to path: String) {
        var bytes: [UInt8] = []
        for entry in configuration.environment { bytes += ControlLine("environment", entry).encoded }
        for argument in configuration.worker { bytes += ControlLine("worker", argument).encoded }
        ChildProgram.replace(path, with: bytes)
    }

    /// Returns only when it fails: the exit status.
    static func run(_ path: String) -> Int32 {
        var configuration = GuestConfiguration()
        for line in ChildProgram.contents(path).split(separator: 0x0A) {
            if let words = ControlLine(line) { configuration.take(words) }
        }
        guard let program = configuration.worker.first else {
            ChildProgram.say("\(path) names no worker")
            return 64
        }
        if let socket = getenv("BERTH_HOLD_SOCKET") {
            configuration.environment.append("BERTH_HOLD_SOCKET=" + String(cString: socket))
        }
        ChildProgram.replace(path + ".pid", with: Array("\(getpid())\n".utf8))
        let error = withCStrings(configuration.worker) { argv in
            withCStrings(configuration.environment) { envp in
                execve(program, argv, envp)
                return errno
            }
        }
        ChildProgram.say("\(program) cannot be started: \(String(cString: strerror(error)))")
        return 71
    }

    /// Ends the worker that `path` started, so that the holder starts another with what the file says now.
    static func endWorker(_ path: String) {
        let text = String(decoding: ChildProgram.contents(path + ".pid"), as: UTF8.self)
        if let pid = text.split(separator: "\n").first.flatMap({ pid_t($0) }), pid > 1 { kill(pid, SIGKILL) }
    }
}
