/// Every route of the server, declared once.
public enum RouteTable {
    public static let all: [Route] =
        executions + deadLetters + files + environments + environmentLife + environmentSurface + snapshots + tunnels
        + terminals
        + ssh + agentSessions + workspaces + repositories + workspaceFiles + git + processes + presence
        + handOvers + setup
        + jobs + server + servers + bus + compatibility + documentedMachines

    public static func route(_ id: RouteID) -> Route? { all.first { $0.id == id } }

    static let cursor: [Route.Parameter] = [
        .init("cursor", .string(), "`nextCursor` of the page before"),
        .init("limit", .integer(minimum: 1, maximum: 200), "items of a page, 1 to 200, default 50"),
    ]

    private static let executions: [Route] = [
        Route(
            .executionCreate,
            .post,
            "/v1/executions",
            .run,
            "Run an agent or a command. Repeating it with the same `Idempotency-Key` returns the first execution.",
            body: .createExecution,
            answer: .json(.execution, status: 201),
            isAudited: true
        ),
        Route(
            .executionList,
            .get,
            "/v1/executions",
            .read,
            "List executions, newest first.",
            query: cursor + [
                .init("status", .string(values: ExecutionStatus.known.map(\.rawValue)), "only those in this state"),
                .init("environment", .string(), "only those of this environment (id)"),
            ],
            answer: .json(.page("ExecutionPage", of: .execution))
        ),
        Route(.executionGet, .get, "/v1/executions/{executionId}", .read, "One execution.", answer: .json(.execution)),
        Route(
            .executionCancel,
            .post,
            "/v1/executions/{executionId}/cancel",
            .run,
            "Cancel an execution: its whole process tree ends. One that has ended is left as it is.",
            answer: .json(.execution, status: 202),
            isAudited: true
        ),
        Route(
            .executionOutput,
            .get,
            "/v1/executions/{executionId}/output",
            .read,
            "Stored bytes of one stream, exactly as the process wrote them.",
            query: [
                .init("stream", .string(values: ["stdout", "stderr"]), "default stdout"),
                .init("offset", .integer(minimum: 0), "first byte, default 0"),
                .init("limit", .integer(minimum: 1, maximum: 16 << 20), "at most this many bytes, default 4 MiB"),
            ],
            answer: .bytes
        ),
        Route(
            .executionEvents,
            .get,
            "/v1/executions/{executionId}/events",
            .read,
            "Follow an execution: `state`, `progress`, `agent`, `stdout`, `stderr`, `end`. Resumes at `Last-Event-ID`.",
            query: [
                .init("streams", .string(), "comma-separated: stdout, stderr, agent; default all that the agent has"),
                .init("raw", .boolean, "all bytes as base64"),
                .init("follow", .boolean, "default true; false: end after what is stored now"),
                .init("after", .string(), "a position, for clients that cannot send Last-Event-ID"),
            ],
            answer: .serverSentEvents
        ),
        Route(
            .executionWait,
            .get,
            "/v1/executions/{executionId}/wait",
            .read,
            "Answer when the execution has ended, or with its present state at the time limit.",
            query: [.init("timeoutMs", .integer(minimum: 0, maximum: 300_000), "default 60000")],
            answer: .json(.execution)
        ),
    ]

    private static func verb(_ id: RouteID, _ verb: String, _ summary: String, query: [Route.Parameter] = []) -> Route {
        Route(
            id,
            .post,
            "/v1/environments/{environmentId}/\(verb)",
            .manageEnvironments,
            summary,
            query: query,
            answer: .json(.environment, status: 202),
            isAudited: true
        )
    }

    private static let environments: [Route] = [
        Route(
            .environmentCreate,
            .post,
            "/v1/environments",
            .manageEnvironments,
            "Make an environment and start it.",
            body: .createEnvironment,
            answer: .json(.environment, status: 201),
            isAudited: true
        ),
        Route(
            .environmentList,
            .get,
            "/v1/environments",
            .read,
            "List environments.",
            query: cursor,
            answer: .json(.page("EnvironmentPage", of: .environment))
        ),
        Route(
            .environmentGet,
            .get,
            "/v1/environments/{environmentId}",
            .read,
            "One environment, by id or name.",
            query: [
                .init("afterVersion", .integer(minimum: 0), "wait for a later version than this"),
                .init("waitMs", .integer(minimum: 0, maximum: 60_000), "wait this long; default 0"),
            ],
            answer: .json(.environment)
        ),
        Route(
            .environmentWhy,
            .get,
            "/v1/environments/{environmentId}/why",
            .read,
            "Why an environment is in its state, what led there and what is allowed now.",
            answer: .json(.environmentWhy)
        ),
        verb(.environmentStart, "start", "Start a stopped environment."),
        verb(.environmentStop, "stop", "Stop it: its files stay, and `lost` of the answer says what does not."),
        verb(.environmentPause, "pause", "Freeze its processes where the provider can."),
        verb(.environmentResume, "resume", "Let a paused environment go on."),
        verb(.environmentRetry, "retry", "Try again what failed."),
        verb(
            .environmentDestroy,
            "destroy",
            "Remove it with its files, from any state.",
            query: [.init("force", .boolean, "without its provider, where that or its server is gone for good")]
        ),
    ]

    private static let repositories: [Route] = [
        Route(
            .repositoryCreate,
            .post,
            "/v1/repositories",
            .run,
            "Record a repository.",
            body: .createRepository,
            answer: .json(.repository, status: 201),
            isAudited: true
        ),
        Route(
            .repositoryList,
            .get,
            "/v1/repositories",
            .read,
            "List repositories.",
            query: cursor,
            answer: .json(.page("RepositoryPage", of: .repository))
        ),
        Route(
            .repositoryGet,
            .get,
            "/v1/repositories/{repositoryId}",
            .read,
            "One repository.",
            answer: .json(.repository)
        ),
    ]

    private static let server: [Route] = [
        Route(
            .workerList,
            .get,
            "/v1/workers",
            .read,
            "Workers of the organization.",
            answer: .json(.page("WorkerPage", of: .worker))
        ),
        Route(
            .workerConnect,
            .get,
            "/v1/worker",
            .worker,
            "The workers' WebSocket; also served at `/`.",
            query: [.init("token", .string(), "the worker's token, for peers that cannot send a header")],
            answer: .webSocket
        ),
        Route(
            .keyCreate,
            .post,
            "/v1/keys",
            .manageKeys,
            "Make an API key for the caller; its text is shown this once.",
            body: .createAPIKey,
            answer: .json(.createdAPIKey, status: 201),
            isAudited: true
        ),
        Route(.keyList, .get, "/v1/keys", .manageKeys, "API keys.", answer: .json(.page("KeyPage", of: .apiKey))),
        Route(
            .keyRevoke,
            .post,
            "/v1/keys/{keyId}/revoke",
            .manageKeys,
            "End an API key at once.",
            answer: .json(.apiKey),
            isAudited: true
        ),
        Route(.whoAmI, .get, "/v1/whoami", .read, "Who the key belongs to.", answer: .json(.whoAmI)),
        Route(
            .changeList,
            .get,
            "/v1/changes",
            .read,
            "What changed in the organization, by sequence, oldest first: a page, or with `Accept: text/event-stream` or a "
                + "WebSocket a stream of `change`, resumable at `Last-Event-ID`.",
            query: [
                .init(
                    "after",
                    .integer(minimum: 0),
                    "only later ones; by default a page begins with the oldest kept, a stream with what comes"
                ),
                .init("limit", .integer(minimum: 1, maximum: 1000), "of a page, default 100"),
                .init("waitMs", .integer(minimum: 0, maximum: 60_000), "a page waits this long for one; default 0"),
                .init(
                    "type",
                    .string(),
                    "only types that begin so, such as execution. or environment.running; by commas"
                ),
                .init("subject", .string(), "only of these things (ids), by commas"),
                .init("kind", .string(), "only of these nouns, such as environment,workspace"),
                .init("snapshot", .boolean, "a stream begins with the present rows as `row`, then `snapshot`"),
                .init("follow", .boolean, "of a stream, default true; false: end after what is stored now"),
            ],
            answer: .json(.changePage),
            otherAnswers: [.serverSentEvents, .webSocket]
        ),
        Route(.health, .get, "/healthz", .open, "The process lives.", answer: .json(.health)),
        Route(.ready, .get, "/readyz", .open, "The server takes requests.", answer: .json(.health)),
        Route(.metrics, .get, "/metrics", .open, "Prometheus text.", answer: .text(mediaType: "text/plain")),
        Route(.version, .get, "/version", .open, "Versions of this server.", answer: .json(.version)),
        Route(.openAPI, .get, "/openapi.json", .open, "This description, OpenAPI 3.1.", answer: .json(.any)),
    ]

    private static let compatibility: [Route] = [
        Route(
            .compatibilityExecute,
            .post,
            "/api/execute",
            .run,
            "Run a prompt for a persona.",
            body: .compatibilityExecute,
            answer: .json(.compatibilityAccepted, status: 202),
            isAudited: true
        ),
        Route(
            .compatibilityGet,
            .get,
            "/api/executions/{executionId}",
            .read,
            "State and output lines of an execution.",
            query: [.init("offset", .integer(minimum: 0), "first line, default 0")],
            answer: .json(.compatibilityExecution)
        ),
        Route(
            .compatibilityCancel,
            .post,
            "/api/executions/{executionId}/cancel",
            .run,
            "Cancel an execution.",
            answer: .json(.compatibilityAccepted),
            isAudited: true
        ),
        Route(.compatibilityHealth, .get, "/health", .open, "The process lives.", answer: .json(.health)),
        Route(
            .compatibilityStatus,
            .get,
            "/api/status",
            .read,
            "Workers, queue and token.",
            answer: .json(.compatibilityStatus)
        ),
    ]
}
