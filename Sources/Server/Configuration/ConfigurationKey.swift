import API
import Base

/// One setting: its names, default, unit and range. The table of all of them is ``ConfigurationKey/all``.
public struct ConfigurationKey: Sendable {
    public enum Kind: Sendable {
        case text
        case path
        case boolean
        case integer(ClosedRange<Int64>)
        case choice([String])
        /// `sqlite`, or the URL of a PostgreSQL database; its password is never shown.
        case database
    }

    /// In the file, and with `--set NAME=VALUE`.
    public var name: String
    public var kind: Kind
    /// Variables of the environment, the first one wins.
    public var variables: [String]
    /// nil: unset.
    public var defaultValue: String?
    public var unit: String
    public var about: String
    public var isSecret: Bool

    init(
        _ name: String,
        _ kind: Kind,
        _ variables: [String],
        default defaultValue: String? = nil,
        unit: String = "",
        isSecret: Bool = false,
        _ about: String
    ) {
        self.name = name
        self.kind = kind
        self.variables = variables
        self.defaultValue = defaultValue
        self.unit = unit
        self.about = about
        self.isSecret = isSecret
    }

    public static let all = general + capacity + spares + workspaces + retries + http + bus + docker

    private static let general: [ConfigurationKey] = [
        .init("data", .path, ["BERTH_DATA"], "directory of everything the server keeps"),
        .init(
            "database",
            .database,
            ["BERTH_DATABASE", "DATABASE_URL"],
            default: "sqlite",
            "sqlite: a file of the data directory; or postgres://user:password@host:port/database"
        ),
        .init(
            "listen",
            .text,
            ["BERTH_LISTEN"],
            default: "127.0.0.1:7410",
            "host:port or unix:/path of the API and of workers; several with commas"
        ),
        .init(
            "workerPort",
            .integer(0...65535),
            ["BERTH_WORKER_PORT", "WS_PORT"],
            default: "0",
            "one more port for workers on the first host of `listen`; 0: none"
        ),
        .init("tlsCertificate", .path, ["BERTH_TLS_CERTIFICATE"], "PEM chain; with tlsKey the listeners speak TLS"),
        .init("tlsKey", .path, ["BERTH_TLS_KEY"], "PEM private key"),
        .init(
            "masterKey",
            .text,
            ["BERTH_MASTER_KEY", "MASTER_KEY"],
            isSecret: true,
            "deployment secret, hexadecimal; default: the file master.key, made at the first start"
        ),
        .init(
            "apiKey",
            .text,
            ["BERTH_API_KEY"],
            isSecret: true,
            "for the CLI: the key it presents; default: the file api-key of the data directory"
        ),
        .init(
            "claudeToken",
            .text,
            ["BERTH_CLAUDE_TOKEN", "CLAUDE_TOKEN"],
            isSecret: true,
            "subscription token for claude runs that bring no login of their own"
        ),
        .init(
            "workerToken",
            .text,
            ["BERTH_WORKER_TOKEN", "WORKER_TOKEN"],
            isSecret: true,
            "token of workers that stand alone; unset: none may connect"
        ),
        .init(
            "caFile",
            .path,
            ["BERTH_CA_FILE"],
            "for the CLI: PEM file of the authorities to trust instead of the system's"
        ),
        .init(
            "serverPin",
            .text,
            ["BERTH_SERVER_PIN"],
            "for the CLI: the only key to trust, sha256/BASE64 as 'berth serve' prints it; several with commas"
        ),
        .init("workerId", .text, ["BERTH_WORKER_ID", "WORKER_ID"], "for a worker: the name it gives itself"),
        .init(
            "server",
            .text,
            ["BERTH_SERVER", "BERTH_URL", "ORCHESTRATOR_URL"],
            "for the CLI and workers: URL of the server; several with commas, of one deployment"
        ),
        .init(
            "executionMode",
            .choice(["local", "cloud", "hybrid"]),
            ["BERTH_EXECUTION_MODE", "EXECUTION_MODE"],
            default: "hybrid",
            "where personas run: local: environments; cloud: workers that stand alone; hybrid: these where let in"
        ),
        .init(
            "provider",
            .choice(["local", "docker", "microvm", "host"]),
            ["BERTH_PROVIDER", "VM_PROVIDER"],
            default: "local",
            "provider of environments that name none"
        ),
        .init(
            "advertise",
            .text,
            ["BERTH_ADVERTISE"],
            "URL under which the other servers of its database, and workers, reach this one; default: its first address, "
                + "of which workers are not told"
        ),
        .init(
            "outputStore",
            .choice(["files", "database"]),
            ["BERTH_OUTPUT_STORE"],
            "where output and files of executions are kept; default: files, and database where several servers share one"
        ),
        .init("baseRoot", .path, ["BERTH_BASE_ROOT"], "read-only root of local sandboxes; default: from the cache"),
        .init("cache", .path, ["BERTH_CACHE"], "downloads and the base root; default: ~/.cache/berth"),
        .init("agents", .path, ["BERTH_AGENTS"], "directory of agent programs; default: agents in the cache"),
        .init("programs", .path, ["BERTH_PROGRAMS"], "directory of berth-worker and berth-hold; default: beside berth"),
        .init(
            "maxBodyBytes",
            .integer(1 << 16...1 << 30),
            ["BERTH_MAX_BODY_BYTES"],
            default: "16777216",
            unit: "bytes",
            "largest request body"
        ),
        .init(
            "maxUploadBytes",
            .integer(1 << 20...1 << 40),
            ["BERTH_MAX_UPLOAD_BYTES"],
            default: "2147483648",
            unit: "bytes",
            "largest repository of a caller's machine, and largest bundle of new commits"
        ),
        .init(
            "maxWorkerChannels",
            .integer(1...1_000_000),
            ["BERTH_MAX_WORKER_CHANNELS"],
            default: "256",
            "open TCP connections through one worker"
        ),
        .init(
            "role",
            .choice(["all", "api", "jobs"]),
            ["BERTH_ROLE"],
            default: "all",
            "what this server does: everything, only the API, or only the job queues; the last two need PostgreSQL"
        ),
        .init(
            "changesKeptDays",
            .integer(0...36_500),
            ["BERTH_CHANGES_KEPT_DAYS"],
            default: "90",
            unit: "days",
            "how long the entries of /v1/changes are kept; 0: for ever"
        ),
        .init(
            "loops",
            .integer(0...64),
            ["BERTH_LOOPS"],
            default: "0",
            "threads that serve connections; 0: one for each processor, at most 4"
        ),
        .init(
            "drainMs",
            .integer(0...600_000),
            ["BERTH_DRAIN_MS"],
            default: "10000",
            unit: "ms",
            "how long a stop waits for open requests"
        ),
        .init(
            "logLevel",
            .choice(["debug", "info", "warning", "error"]),
            ["BERTH_LOG_LEVEL"],
            default: "info",
            "least severe lines that are written"
        ),
    ]

    public static func named(_ name: String) -> ConfigurationKey? { all.first { $0.name == name } }

    /// Refuses a value that does not fit, naming where it came from.
    func check(_ value: String, source: String) throws(BerthError) {
        switch kind {
        case .text, .path: return
        case .boolean:
            guard ["true", "false"].contains(value) else {
                throw misfit(value, source, "true or false")
            }
        case .integer(let range):
            guard let number = Int64(value), range.contains(number) else {
                throw misfit(
                    value,
                    source,
                    "\(range.lowerBound) to \(range.upperBound)" + (unit.isEmpty ? "" : " \(unit)")
                )
            }
        case .database:
            guard value == "sqlite" || value.hasPrefix("postgres://") || value.hasPrefix("postgresql://") else {
                throw misfit("<redacted>", source, "sqlite, or postgres://user:password@host:port/database")
            }
        case .choice(let choices):
            guard choices.contains(value) else { throw misfit(value, source, choices.joined(separator: ", ")) }
        }
    }

    private func misfit(_ value: String, _ source: String, _ allowed: String) -> BerthError {
        BerthError(
            .invalidValue,
            "'\(isSecret ? "<redacted>" : String(value.prefix(80)))' from \(source) does not fit",
            field: name,
            remedy: "allowed: \(allowed)"
        )
    }
}
