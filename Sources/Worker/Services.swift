internal import Base
internal import BerthCore
internal import EventLoop
internal import OutputStore
internal import Subprocess
internal import WorkerProtocol

/// What every attempt of this worker uses.
struct Services: Sendable {
    let loop: EventLoop
    let time: any TimeSource
    let ids: IDSource
    let log: Log
    let layout: EnvironmentLayout
    let store: WorkerStore
    let holder: HolderClient
    /// Which holder this is: its number and the moment of its start. A later one knows no process of an earlier one.
    let holderIncarnation: String
    let git: Git
    let files: ServerFiles
    /// Keeps the names of mirrors from telling anything of the credentials they belong to.
    let mirrorSalt: String

    /// Where the bytes of all attempts are spooled.
    var spoolRoot: String { layout.state + "/output" }

    /// Where the new commits of an attempt wait until the server has them.
    func bundlePath(of key: AttemptKey) -> String {
        "\(layout.bundleDirectory)/\(key.executionID)-\(key.attempt)"
    }
}

extension HolderClient {
    /// The number and, from field 22 of proc_pid_stat(5), the start in clock ticks since boot.
    var incarnation: String {
        let stat = EnvironmentLayout.contents("/proc/\(holderPID)/stat")
        // The name in the second field may hold anything but ends with the last parenthesis.
        let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
        return "\(holderPID):\(fields.count > 19 ? fields[19] : "")"
    }
}
