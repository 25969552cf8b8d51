extension RouteTable {
    /// What is kept of environments with their memory, and what is made out of it.
    static let snapshots: [Route] = [
        Route(
            .snapshotCreate,
            .post,
            "/v1/environments/{environmentId}/snapshots",
            .manageEnvironments,
            "Keep a running or paused environment as it is, memory and disk. It is held for a moment meanwhile.",
            answer: .json(.snapshot, status: 202),
            isAudited: true
        ),
        Route(
            .snapshotList,
            .get,
            "/v1/environments/{environmentId}/snapshots",
            .read,
            "The snapshots of an environment, newest first.",
            answer: .json(.page("SnapshotPage", of: .snapshot))
        ),
        Route(
            .snapshotGet,
            .get,
            "/v1/environments/{environmentId}/snapshots/{snapshotId}",
            .read,
            "One snapshot.",
            query: [.init("waitMs", .integer(minimum: 0, maximum: 60_000), "while it is being made; default 0")],
            answer: .json(.snapshot)
        ),
        Route(
            .snapshotRemove,
            .delete,
            "/v1/environments/{environmentId}/snapshots/{snapshotId}",
            .manageEnvironments,
            "Remove a snapshot. What was forked from it lives on.",
            answer: .json(.snapshot, status: 202),
            isAudited: true
        ),
        Route(
            .environmentFork,
            .post,
            "/v1/environments/{environmentId}/fork",
            .manageEnvironments,
            "Make another environment that goes on from a snapshot, or from what this one is now: with its files and "
                + "processes, and with a name, a token, a clock and entropy of its own.",
            body: .forkEnvironment,
            answer: .json(.environment, status: 201),
            isAudited: true
        ),
        Route(
            .environmentRestore,
            .post,
            "/v1/environments/{environmentId}/restore",
            .manageEnvironments,
            "Go back to a snapshot and run on from there. What came after it is lost; what runs ends as lost.",
            body: .restoreEnvironment,
            answer: .json(.environment, status: 202),
            isAudited: true
        ),
    ]
}
