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
    let reserve: SpaceReserve
    let holder: HolderClient
    /// Differs between holders, on this boot of the machine and over all of them; nil where it cannot be known.
    let holderIdentity: String?
    let git: Git
    let runner: any ProcessRunner
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
