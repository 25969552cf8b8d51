extension RouteTable {
    static let deadLetters: [Route] = [
        Route(
            .executionAttempts,
            .get,
            "/v1/executions/{executionId}/attempts",
            .read,
            "Every attempt of an execution, oldest first, with its worker, its times and why it ended.",
            answer: .json(.page("AttemptPage", of: .attempt))
        ),
        Route(
            .deadLetterList,
            .get,
            "/v1/dead-letters",
            .read,
            "Executions that were given up after repeated failures, newest first. Kept for 7 days.",
            query: cursor,
            answer: .json(.page("DeadLetterPage", of: .deadLetter))
        ),
        Route(
            .deadLetterGet,
            .get,
            "/v1/dead-letters/{executionId}",
            .read,
            "One dead letter with every attempt.",
            answer: .json(.deadLetter)
        ),
        Route(
            .deadLetterRetry,
            .post,
            "/v1/dead-letters/{executionId}/retry",
            .run,
            "Run it again as a new execution that names this one; the recorded end stays. Once per letter.",
            answer: .json(.execution, status: 201),
            isAudited: true
        ),
        Route(
            .deadLetterDrop,
            .delete,
            "/v1/dead-letters/{executionId}",
            .run,
            "Forget a dead letter and the secrets kept for its retry; the execution's record stays.",
            answer: .json(.deadLetter),
            isAudited: true
        ),
    ]
}
