extension RouteTable {
    private static let imageNames: [Route.Parameter] = [
        .init("name", .string(), "name and tag, such as team/tools:1"),
        .init("provider", .string(), "whose; default docker"),
    ]

    /// What can be seen of environments and done in them, beside their verbs.
    static let environmentSurface: [Route] = [
        Route(
            .environmentLog,
            .get,
            "/v1/environments/{environmentId}/log",
            .read,
            "The provisioning log: the last 100 entries of the last hour, oldest first. With `Accept: text/event-stream` "
                + "live, each an `entry`, resumable at `Last-Event-ID`.",
            query: [
                .init("after", .integer(minimum: 0), "only entries with a greater `seq`"),
                .init("current", .boolean, "only of what is under way; a stream ends when that has ended"),
                .init("follow", .boolean, "of a stream, default true; false: end after what is stored now"),
            ],
            answer: .json(.page("ProvisioningLog", of: .provisioningEntry)),
            otherAnswers: [.serverSentEvents]
        ),
        Route(
            .environmentExecute,
            .post,
            "/v1/environments/{environmentId}/execute",
            .run,
            "Run code in an environment and answer with what it wrote. It is started or woken first. With "
                + "`Accept: text/event-stream` live: the events of its execution.",
            body: .executeCode,
            answer: .json(.executedCode),
            otherAnswers: [.serverSentEvents],
            isAudited: true
        ),
        Route(
            .environmentMine,
            .get,
            "/v1/environments/mine",
            .read,
            "The caller's personal environment; not found before its first use.",
            answer: .json(.environment)
        ),
        Route(
            .environmentProvision,
            .post,
            "/v1/environments/provision",
            .manageEnvironments,
            "The caller's personal environment, made where there is none yet. One that exists is answered as it is.",
            body: .provisionEnvironment,
            answer: .json(.environment),
            isAudited: true
        ),
        Route(
            .environmentExecutions,
            .get,
            "/v1/environments/{environmentId}/executions",
            .read,
            "What ran in an environment, newest first.",
            query: cursor,
            answer: .json(.page("ExecutionPage", of: .execution))
        ),
        Route(
            .environmentTransitions,
            .get,
            "/v1/environments/{environmentId}/transitions",
            .read,
            "Every change of an environment's state with who asked for it, newest first, as long as changes are kept.",
            query: cursor,
            answer: .json(.page("EnvironmentTransitionPage", of: .environmentTransition))
        ),
        Route(
            .environmentNetwork,
            .put,
            "/v1/environments/{environmentId}/network",
            .manageEnvironments,
            "What it may reach, from now on and for connections that are open: none, or the names and ports of a list.",
            body: .network,
            answer: .json(.environment),
            isAudited: true
        ),
        Route(
            .flavourList,
            .get,
            "/v1/flavours",
            .read,
            "Sizes of environments, and what of each this server's machine can give.",
            answer: .json(.page("FlavourPage", of: .flavour))
        ),
        Route(
            .imageList,
            .get,
            "/v1/images",
            .read,
            "What environments can be made from.",
            answer: .json(.page("ImagePage", of: .image))
        ),
        Route(
            .imageImport,
            .post,
            "/v1/images",
            .manageOrganization,
            "Take in a root file system, a tar archive, that environments can be made from. What had its name is replaced; "
                + "environments that exist keep what they were made from.",
            query: imageNames,
            takesBytes: true,
            answer: .json(.image, status: 201),
            isAudited: true
        ),
        Route(
            .imageRemove,
            .delete,
            "/v1/images",
            .manageOrganization,
            "Remove an image that no environment is made from.",
            query: imageNames,
            answer: .json(.image),
            isAudited: true
        ),
        Route(
            .adminOverview,
            .get,
            "/v1/admin/environments",
            .manageOrganization,
            "Every environment of the organization, the servers, and figures.",
            answer: .json(.overview)
        ),
        Route(
            .adminDestroy,
            .post,
            "/v1/admin/environments/{environmentId}/destroy",
            .manageOrganization,
            "Destroy an environment of anybody in the organization, by id.",
            answer: .json(.environment, status: 202),
            isAudited: true
        ),
    ]
}

extension Schema {
    static let provisioningEntry = Schema.object(
        name: "ProvisioningEntry",
        members: [
            .required("seq", .integer(), "1, 2, … of its environment"),
            .required("timestamp", time, "when"),
            .required("level", .string(), "info, success, error or debug"),
            .required("message", .string(), "for people"),
        ]
    )

    static let provisionEnvironment = Schema.object(
        name: "ProvisionEnvironment",
        members: [
            .optional("provider", .string(), "where it lives; default: the server's"),
            .optional("limits", limits, "caps of the instance"),
            .optional("network", network, "what it may reach"),
        ]
    )

    static let environmentTransition = Schema.object(
        name: "EnvironmentTransition",
        members: [
            .required("sequence", .integer(), "of the organization's changes"),
            .required("action", .string(), "such as environment.running"),
            .required("state", .string(), "observed state after it"),
            .required("desired", .string(), "desired state after it"),
            .required("instance", .integer(), "incarnation number"),
            .optional("actorId", .string(), "user_… who asked for it; absent: the server by itself"),
            .optional("message", .string(), "the provider's words"),
            .optional("failure", failure, "why it went wrong"),
            .required("at", time, "when"),
        ]
    )

    static let flavour = Schema.object(
        name: "Flavour",
        members: [
            .required("name", .string(), "free, pro or unlimited"),
            .required("limits", limits, "what it is"),
            .required("granted", limits, "what of it this server's machine has"),
        ]
    )

    static let image = Schema.object(
        name: "Image",
        members: [
            .required("name", .string(), "for people"),
            .required("provider", .string(), "whose environments are made from it"),
            .required("isAvailable", .boolean, "whether it is there"),
            .required("isDefault", .boolean, "what environments are made from that name none"),
            .optional("bytes", .integer(), "where its provider says"),
            .optional("createdAt", time, "where its provider says"),
        ]
    )

    static let overview = Schema.object(
        name: "EnvironmentOverview",
        members: [
            .required("environments", .array(environment), "all that are not destroyed"),
            .required(
                "hosts",
                .array(
                    .object(
                        name: "Host",
                        members: [
                            .required("serverId", .string(), "srv_…"),
                            .optional("address", .string(), "where others reach it"),
                            .required("version", .string(), "of its server"),
                            .required("startedAt", time, "when"),
                            .required("environments", .integer(), "on its machine"),
                            .required("running", .integer(), "of them"),
                        ]
                    )
                ),
                "servers that live"
            ),
            .required(
                "statistics",
                .object(
                    name: "EnvironmentStatistics",
                    members: [
                        .required("total", .integer(), "environments"),
                        .required("byState", .map(.integer()), "environments in each state"),
                        .required("cpus", .number, "processors of all"),
                        .required("memoryBytes", .integer(), "memory of all"),
                        .required("runningCpus", .number, "processors of those that run"),
                        .required("runningMemoryBytes", .integer(), "memory of those that run"),
                    ]
                ),
                "figures"
            ),
        ]
    )

    static let executeCode = Schema.object(
        name: "ExecuteCode",
        members: [
            .optional("code", .string(), "text for the environment's `sh`; or `command`"),
            .optional("command", .array(.string()), "argument vector; or `code`"),
            .optional("stdin", .string(), "its standard input, up to 8 MiB"),
            .optional("workingDirectory", .string(), "absolute, inside the environment; default: a private one"),
            .optional("env", .map(.string()), "variables, sealed at rest"),
            .optional("timeoutMs", .integer(minimum: 1), "milliseconds of running; default: the server's"),
            .optional(
                "waitMs",
                .integer(minimum: 0, maximum: 300_000),
                "answer after this time even if it has not ended; default 120000"
            ),
        ]
    )

    static let executedCode = Schema.object(
        name: "ExecutedCode",
        members: [
            .required("executionId", .string(), "exec_…, with all of its output"),
            .required("status", .string(), "queued, assigned, running, completed, failed, cancelled or timedOut"),
            .optional("exitCode", .integer(), "of the process; absent where a signal ended it or it has not ended"),
            .optional("signal", .integer(), "number"),
            .required("stdout", .string(), "the first MiB, as text"),
            .required("stderr", .string(), "the first MiB, as text"),
            .required("isTruncated", .boolean, "whether there is more than is shown"),
            .optional("durationMs", .integer(), "milliseconds"),
            .optional("failure", failure, "why it did not complete"),
        ]
    )
}
