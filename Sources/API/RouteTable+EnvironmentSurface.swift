extension RouteTable {
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
