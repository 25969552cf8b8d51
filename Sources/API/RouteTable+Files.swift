extension RouteTable {
    static let files: [Route] = [
        Route(
            .uploadCreate,
            .post,
            "/v1/uploads",
            .run,
            "Upload a git bundle of a repository that lies on the caller's machine, for `repository.upload`. "
                + "Kept until its execution ends, at most 24 hours without one.",
            takesBytes: true,
            answer: .json(.upload, status: 201),
            isAudited: true
        ),
        Route(
            .executionBundle,
            .get,
            "/v1/executions/{executionId}/bundle",
            .read,
            "The new commits of an execution as a git bundle; `berth-branch` names the branch in it.",
            answer: .bytes
        ),
        Route(
            .workerUpload,
            .get,
            "/v1/worker/uploads/{uploadId}",
            .worker,
            "An upload, for the worker that checks it out.",
            answer: .bytes
        ),
        Route(
            .workerBundle,
            .put,
            "/v1/worker/executions/{executionId}/bundle",
            .worker,
            "The new commits of an attempt, from its worker, before it tells of the end.",
            query: [
                .init("attempt", .integer(minimum: 1), "the attempt"),
                .init("sha256", .string(), "of the bytes, hexadecimal"),
            ],
            takesBytes: true,
            answer: .bytes
        ),
    ]
}
