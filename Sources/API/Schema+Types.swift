import Domain

/// The shapes of requests: exact, because unknown fields are refused by name.
extension Schema {
    static let network = Schema.object(
        name: "NetworkPolicy",
        members: [
            .required("kind", .string(values: NetworkPolicy.Kind.allCases.map(\.rawValue)), "none, allow or open"),
            .optional("hostPorts", .array(.integer(minimum: 1, maximum: 65535)), "loopback ports of the host to show"),
            .optional(
                "allow",
                .array(.string()),
                "for kind allow: names with ports, such as github.com:443 or *.npmjs.org:443"
            ),
        ]
    )

    static let limits = Schema.object(
        name: "ResourceLimits",
        members: [
            .optional("cpus", .number, "processors, fractions allowed"),
            .optional("memoryBytes", .integer(), "bytes"),
            .optional("diskBytes", .integer(), "bytes"),
            .optional("processes", .integer(), "processes and threads"),
        ]
    )

    private static let runConfig = Schema.object(
        name: "RunConfig",
        members: [
            .optional("timeoutMs", .integer(), "milliseconds of running, 1 to one year"),
            .optional("maxOutputBytes", .integer(), "bytes stored of each stream's start, default 10000000"),
            .optional("maxTurns", .integer(), "turns of the agent"),
            .optional("maxCostUsd", .number, "US dollars"),
        ]
    )

    private static let checkout = Schema.object(
        name: "Checkout",
        members: [
            .required("url", .string(), "what git clones from, without credentials in it; `local:NAME` with an upload"),
            .optional("upload", .string(), "id of an upload: a git bundle of the repository; absent: it is empty"),
            .optional("base", .string(), "branch, tag or commit to start from"),
            .optional("branch", .string(), "the branch made for the task"),
            .optional("push", .boolean, "push the branch at the end"),
            .optional("commitLeftovers", .boolean, "commit what the agent left uncommitted; default true"),
        ]
    )

    static let gitLogin = Schema.object(
        name: "GitLogin",
        members: [
            .required("scheme", .string(values: ["https", "http"]), "https or http"),
            .required("host", .string(), "host, with the port where the URL has one"),
            .required("username", .string(), "user name"),
            .required("password", .string(), "password or token"),
        ]
    )

    static let sshLogin = Schema.object(
        name: "SSHLogin",
        members: [
            .optional("privateKey", .string(), "OpenSSH or PEM, without a passphrase"),
            .optional("knownHosts", .string(), "lines of a known_hosts file; absent: the first key seen is kept"),
        ]
    )

    static let createExecution = Schema.object(
        name: "CreateExecution",
        members: [
            .optional("environment", .string(), "name or id; `new` for one of its own; absent: the personal one"),
            .optional("provider", .string(), "local, docker, microvm or host, for an environment made by this request"),
            .optional("image", .string(), "for an environment made by this request, where its provider has several"),
            .optional("network", network, "for an environment made by this request"),
            .optional("limits", limits, "for an environment made by this request"),
            .optional("agent", .string(), "claude or command"),
            .optional("prompt", .string(), "the task, up to 8 MiB"),
            .optional(
                "command",
                .array(.string()),
                "argument vector, for agent command; the prompt is its standard input"
            ),
            .optional("workingDirectory", .string(), "absolute, inside the environment"),
            .optional("personaId", .string(), "the persona that runs"),
            .optional("model", .string(), "the agent's model"),
            .optional("resumeAgentSessionId", .string(), "continue the agent's own conversation"),
            .optional("repository", checkout, "what to check out first"),
            .optional("env", .map(.string()), "variables of the agent's environment, sealed at rest"),
            .optional("gitCredentials", .array(gitLogin), "for git operations, never in the agent's environment"),
            .optional("ssh", sshLogin, "for a repository behind ssh, never in the agent's environment"),
            .optional("config", runConfig, "caps"),
            .optional("retry", .string(values: ["never", "idempotent"]), "after a lost machine; default never"),
        ]
    )

    static let createEnvironment = Schema.object(
        name: "CreateEnvironment",
        members: [
            .optional("name", .string(), "lower-case letters, digits and hyphens"),
            .optional("provider", .string(), "local, docker, microvm or host"),
            .optional("image", .string(), "of what it is made, where the provider has several"),
            .optional("limits", limits, "caps of the instance"),
            .optional("limitsPolicy", .string(values: ["bestEffort", "required"]), "default bestEffort"),
            .optional("network", network, "default open"),
            .optional("autoStopMinutes", .integer(minimum: 0, maximum: 480), "5 to 480, default 30; 0: never"),
            .optional("expiresAt", .string(), "ISO 8601, UTC: when it is destroyed by itself; absent: never"),
        ]
    )

    static let createRepository = Schema.object(
        name: "CreateRepository",
        members: [
            .required("url", .string(), "what git clones from, without credentials in it"),
            .optional("name", .string(), "short name"),
            .optional("defaultBranch", .string(), "default: the remote's own"),
        ]
    )

    static let createAPIKey = Schema.object(
        name: "CreateKey",
        members: [
            .required("name", .string(), "what it is for"),
            .optional("kind", .string(values: ["personal", "team"]), "default personal"),
            .optional("expiresAt", .string(), "ISO 8601, UTC; absent: never"),
        ]
    )

    static let compatibilityExecute = Schema.object(
        name: "ExecuteRequest",
        members: [
            .required("personaId", .string(), "the persona that runs"),
            .required("prompt", .string(), "the task"),
            .optional("config", runConfig, "caps"),
            .optional("timeoutMs", .integer(), "the same as config.timeoutMs"),
        ]
    )

    static func page(_ name: String, of item: Schema) -> Schema {
        .object(
            name: name,
            members: [
                .required("items", .array(item), "the page"),
                .optional("nextCursor", .string(), "for the next page; absent at the end"),
            ]
        )
    }

    static let environmentSpec = Schema.object(
        name: "EnvironmentSpec",
        members: [
            .required("provider", .string(), "local, docker, microvm or host"),
            .optional("image", .string(), "of what it is made; absent: what the server is configured with"),
            .required("limits", limits, "caps"),
            .required("limitsPolicy", .string(), "bestEffort or required"),
            .required("network", network, "what it may reach"),
        ]
    )

    static let config = runConfig
}
