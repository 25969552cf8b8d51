extension RouteTable {
    static let jobs: [Route] = [
        Route(
            .jobList,
            .get,
            "/v1/jobs",
            .read,
            "List jobs, the server's own durable work, newest first.",
            query: [
                .init("cursor", .string(), "`nextCursor` of the page before"),
                .init("limit", .integer(minimum: 1, maximum: 200), "items of a page, 1 to 200, default 50"),
                .init("queue", .string(values: ["vm-provision", "vm-control"]), "only those of this queue"),
                .init(
                    "status",
                    .string(values: ["queued", "active", "completed", "failed"]),
                    "only those in this state"
                ),
                .init("environment", .string(), "only those of this environment (id)"),
            ],
            answer: .json(.page("JobPage", of: .job))
        ),
        Route(.jobGet, .get, "/v1/jobs/{jobId}", .read, "One job with every turn that it had.", answer: .json(.job)),
        Route(
            .jobRetry,
            .post,
            "/v1/jobs/{jobId}/retry",
            .manageEnvironments,
            "Try again what a failed job was to do; answers with the job that does.",
            answer: .json(.job, status: 202),
            isAudited: true
        ),
    ]
}

extension Schema {
    static let job = Schema.object(
        name: "Job",
        members: [
            .required("id", .string(), "job_…"),
            .required("queue", .string(), "vm-provision or vm-control"),
            .required("action", .string(), "provision, start, pause, resume, stop or destroy"),
            .required("environmentId", .string(), "env_…"),
            .required("status", .string(), "queued, active, completed or failed"),
            .required("attempt", .integer(), "turns so far"),
            .required("failures", .integer(), "turns that failed"),
            .required("maximumAttempts", .integer(), "failed turns after which it has failed"),
            .required("requests", .integer(), "requests that it stands for"),
            .optional("failure", failure, "why it failed, or its last turn did"),
            .optional("serverId", .string(), "srv_… that runs it"),
            .required("createdAt", time, "when"),
            .optional("nextAt", time, "its next turn, while it is queued"),
            .optional("startedAt", time, "its last turn"),
            .optional("endedAt", time, "when"),
            .optional("attempts", .array(turn), "its turns, oldest first; only where one job is shown"),
        ]
    )

    private static let turn = Schema.object(
        name: "JobTurn",
        members: [
            .required("attempt", .integer(), "1, 2, …"),
            .required("serverId", .string(), "srv_…"),
            .required("startedAt", time, "when"),
            .optional("endedAt", time, "when"),
            .optional("outcome", .string(), "completed, failed, lost or handedBack"),
            .optional("code", .string(), "why it failed"),
            .optional("message", .string(), "for people"),
        ]
    )
}
