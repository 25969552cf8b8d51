public import Base
internal import Glibc
public import OpenSSL
public import Transport

/// What `berth-worker` was started with. Read once; nobody looks at the environment later.
public struct WorkerOptions: Sendable {
    /// `unix:/path`, or a URL (`ws:`, `wss:`, `http:`, `https:`); tried in turn.
    public var links: [String]
    public var tokenFile: String
    /// Which servers to believe on `wss`.
    public var trust: TLSTrust
    /// What links to other machines go through.
    public var proxy: HTTPProxy?
    /// Database and output; private to Berth.
    public var state: String
    public var holderSocket: String
    /// nil: `/workspace` in a sandbox, else `workspaces` under the home directory.
    public var workspaces: String?
    /// Name of the user whom agents run as; nil: `agent` in a sandbox that the worker runs in as root, else its own.
    public var agentUser: String?
    public var slots: Int
    public var workerID: String?
    public var environmentID: EnvironmentID?
    public var instance: Int64?
    /// A named pipe that is read before the first connection; nil: none.
    public var gate: String?
    public var path: String
    public var home: String

    public static let usage = """
        usage: berth-worker --link TARGET [--link TARGET]... --token-file FILE --state DIR [options]
               berth-worker git-credential get

        Runs agents for a Berth server, which it connects to; it never listens for one.

          --link TARGET       unix:/path/to.sock, ws://host:port or wss://host:port; several for the servers of one
                              deployment (default: BERTH_SERVER, with commas)
          --token-file FILE   the worker's token; read anew for each connection
          --server-pin PIN    on wss, the only key to believe: sha256/BASE64, as 'berth serve' prints it; give it
                              again for a key to come (default: BERTH_SERVER_PIN)
          --ca-file FILE      on wss, PEM file of the authorities to believe instead of the system's
                              (default: BERTH_CA_FILE)
          --state DIR         database and output, private to the worker
          --holder PATH       socket of berth-hold (default: BERTH_HOLD_SOCKET)
          --workspaces DIR    where checkouts lie
          --agent-user NAME   whom agents run as
          --slots N           executions at the same time, 1 to 64 (default: 8)
          --worker-id ID      default: made at the first start and kept
          --environment ID    the environment it serves (default: BERTH_ENVIRONMENT_ID)
          --instance N        which boot of it (default: BERTH_INSTANCE); a file `instance` beside the token says better
          --gate PATH         wait for a byte from this named pipe before connecting; none of this name is open
        """

    public init(arguments: [String], environment: [String: String]) throws(BerthError) {
        var values: [String: [String]] = [:]
        var rest = arguments[...]
        while let name = rest.popFirst() {
            guard Self.names.contains(name) else {
                throw BerthError(
                    .usage,
                    "'\(name)' is not an option of berth-worker",
                    remedy: "see berth-worker --help"
                )
            }
            guard let value = rest.popFirst() else {
                throw BerthError(.usage, "a value is missing", field: name, remedy: "see berth-worker --help")
            }
            values[name, default: []].append(value)
        }
        func required(_ name: String) throws(BerthError) -> String {
            guard let value = values[name]?.last else {
                throw BerthError(.usage, "this option is needed", field: name, remedy: "see berth-worker --help")
            }
            return value
        }
        let named = values["--link"] ?? Self.servers(environment)
        guard !named.isEmpty else {
            throw BerthError(.usage, "this option is needed", field: "--link", remedy: "see berth-worker --help")
        }
        links = named.map { $0.hasPrefix("/") ? "unix:\($0)" : $0 }
        tokenFile = try required("--token-file")
        state = try required("--state")
        trust = try Self.trust(values, environment)
        proxy = HTTPProxy(environment: environment)
        guard let holder = values["--holder"]?.last ?? environment["BERTH_HOLD_SOCKET"] else {
            throw BerthError(
                .usage,
                "this option is needed",
                field: "--holder",
                remedy: "berth-hold sets BERTH_HOLD_SOCKET"
            )
        }
        holderSocket = holder
        workspaces = values["--workspaces"]?.last
        agentUser = values["--agent-user"]?.last
        slots = 8
        if let text = values["--slots"]?.last {
            guard let number = Int(text), (1...64).contains(number) else {
                throw BerthError(.usage, "'\(text)' is not a number from 1 to 64", field: "--slots")
            }
            slots = number
        }
        workerID = values["--worker-id"]?.last
        environmentID = try (values["--environment"]?.last ?? environment["BERTH_ENVIRONMENT_ID"])
            .map { text throws(BerthError) in try EnvironmentID(text) }
        instance = (values["--instance"]?.last ?? environment["BERTH_INSTANCE"]).flatMap { Int64($0) }
        gate = values["--gate"]?.last
        path = environment["PATH"] ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        home = environment["HOME"] ?? "/"
    }

    private static func trust(_ values: [String: [String]], _ environment: [String: String]) throws(BerthError)
        -> TLSTrust
    {
        let pins = values["--server-pin"]?.joined(separator: ",") ?? environment["BERTH_SERVER_PIN"]
        let file = values["--ca-file"]?.last ?? environment["BERTH_CA_FILE"]
        guard let pins, !pins.isEmpty else {
            return file.map { $0.isEmpty ? .system : .authorities(file: $0) } ?? .system
        }
        do {
            return .keys(try KeyPin.list(pins))
        } catch {
            throw BerthError(error.code, error.message, field: "--server-pin", remedy: error.remedy)
        }
    }

    private static func servers(_ environment: [String: String]) -> [String] {
        let text = serverVariables.lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        return text.split(separator: ",").map { String($0).trimmed }.filter { !$0.isEmpty }
    }

    /// As the server's setting `server` is called.
    private static let serverVariables = ["BERTH_SERVER", "BERTH_URL", "ORCHESTRATOR_URL"]

    /// What `init` looks at.
    static let variables =
        [
            "BERTH_HOLD_SOCKET", "BERTH_ENVIRONMENT_ID", "BERTH_INSTANCE", "BERTH_SERVER_PIN", "BERTH_CA_FILE", "PATH",
            "HOME",
        ] + serverVariables
        + ["http_proxy", "https_proxy", "all_proxy", "no_proxy"].flatMap { [$0, $0.uppercased()] }

    private static let names = [
        "--link", "--token-file", "--server-pin", "--ca-file", "--state", "--holder", "--workspaces", "--agent-user",
        "--slots", "--worker-id",
        "--environment", "--instance", "--gate",
    ]
}
