internal import Base
internal import Domain

/// Paths of the inside.
public enum Inside {
    public static let linkDirectory = "/run/berth"
    public static let linkSocket = "/run/berth/link.sock"
    public static let holderSocket = "/run/berth/hold.sock"
    public static let token = "/run/berth/token"
    public static let gate = "/run/berth/gate"
    public static let workerGate = "/run/berth/worker-gate"
    public static let state = "/var/lib/berth"
    public static let holder = "/opt/berth/bin/berth-hold"
    public static let worker = "/opt/berth/bin/berth-worker"
    public static let agents = "/opt/berth/agents"
    public static let tools = "/opt/berth/tools"
    public static let workspaces = "/workspace"

    static let systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    /// The environment of holder and worker, sorted by name.
    static func variables(
        _ environmentID: EnvironmentID,
        _ instance: Int64,
        _ launch: WorkerLaunch,
        home: String,
        path: String? = nil,
        hasTools: Bool
    ) -> [(String, String)] {
        let programs = launch.agents.map { "\(agents)/\($0.name)" }
        var variables = [
            "PATH": (programs + [path ?? systemPath] + (hasTools ? [tools + "/bin"] : [])).joined(separator: ":"),
            "HOME": home,
            "LANG": "C.UTF-8",
            "BERTH_ENVIRONMENT_ID": environmentID.text,
            "BERTH_INSTANCE": "\(instance)",
        ]
        variables.merge(launch.environment) { _, new in new }
        return variables.sorted { $0.key < $1.key }
    }

    /// - Parameters:
    ///   - options: of the holder, besides its socket.
    ///   - workerOptions: of the worker, besides what every one gets.
    static func holderCommand(_ launch: WorkerLaunch, _ options: [String], worker workerOptions: [String] = [])
        -> [String]
    {
        [holder, "--socket", holderSocket] + options + [
            "--worker", worker, "--link", "unix:\(linkSocket)", "--token-file", token,
            "--state", state, "--holder", holderSocket, "--workspaces", workspaces,
        ] + workerOptions + launch.arguments
    }
}
