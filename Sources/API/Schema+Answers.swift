/// The shapes of answers, for the OpenAPI document.
extension Schema {
    static let time = Schema.string(about: "ISO 8601, UTC")

    static let failure = Schema.object(
        name: "Failure",
        members: [
            .required("code", .string(), "stable name to match on"),
            .required("message", .string(), "for people"),
            .optional("remedy", .string(), "what to do about it"),
            .optional("isRetryable", .boolean, "whether the same may go better at another time"),
        ]
    )

    private static let usage = Schema.object(
        name: "Usage",
        members: [
            .required("inputTokens", .integer(), "tokens"),
            .required("outputTokens", .integer(), "tokens"),
            .required("cacheReadTokens", .integer(), "tokens"),
            .required("cacheCreationTokens", .integer(), "tokens"),
            .optional("costUSD", .number, "US dollars, as the agent says"),
            .optional("turns", .integer(), "turns of the agent"),
        ]
    )

    private static let mark = Schema.object(
        name: "OutputMark",
        members: [
            .required("totalBytes", .integer(), "everything that the process wrote"),
            .required("headBytes", .integer(), "stored from the start"),
            .required("tailBytes", .integer(), "stored from the end"),
            .required("sha256", .string(), "of everything, hexadecimal"),
        ]
    )

    private static let bundle = Schema.object(
        name: "Bundle",
        members: [
            .required("branch", .string(), "the branch in it"),
            .required("bytes", .integer(), "length"),
            .required("sha256", .string(), "of the bytes, hexadecimal"),
        ]
    )

    static let upload = Schema.object(
        name: "Upload",
        members: [
            .required("id", .string(), "for `repository.upload`"),
            .required("bytes", .integer(), "length"),
            .required("sha256", .string(), "of the bytes, hexadecimal"),
            .required("expiresAt", time, "when it goes unless an execution has taken it"),
        ]
    )

    private static let outcome = Schema.object(
        name: "WorkspaceOutcome",
        members: [
            .required("branch", .string(), "the task's branch"),
            .optional("baseCommit", .string(), "where it began"),
            .optional("headCommit", .string(), "where it ended"),
            .required("commits", .array(.any), "id and subject of each"),
            .required("files", .array(.any), "path, additions and deletions of each"),
            .required("pushed", .boolean, "whether the remote has it"),
            .optional("bundle", bundle, "the new commits, to be had at `/v1/executions/{executionId}/bundle`"),
            .required("warnings", .array(.string()), "things a person should know"),
        ]
    )

    private static let report = Schema.object(
        name: "ExecutionReport",
        members: [
            .required("outcome", .string(), "completed, failed, cancelled or timedOut"),
            .optional("exitCode", .integer(), "absent where it never started or a signal ended it"),
            .optional("signal", .integer(), "number"),
            .optional("failure", failure, "why"),
            .required("durationMs", .integer(), "milliseconds"),
            .optional("hasStarted", .boolean, "false: no process was ever made for it"),
            .optional("verdict", .any, "the agent's own word"),
            .optional("agentSessionID", .string(), "to resume the conversation"),
            .optional("model", .string(), "as the agent says"),
            .optional("workspace", outcome, "what it left behind"),
            .optional("stdout", mark, "what is true of the stream"),
            .optional("stderr", mark, "what is true of the stream"),
        ]
    )

    static let execution = Schema.object(
        name: "Execution",
        members: [
            .required("id", .string(), "exec_…"),
            .required("status", .string(), "queued, assigned, running, completed, failed, cancelled or timedOut"),
            .required("agent", .string(), "claude or command"),
            .optional("personaId", .string(), "the persona that runs"),
            .optional("environmentId", .string(), "env_…"),
            .optional("workspaceId", .string(), "ws_…"),
            .required("attempt", .integer(), "the fence, from 1 once assigned"),
            .required("title", .string(), "start of the prompt, or the command"),
            .optional("model", .string(), "the agent's model"),
            .optional("agentSessionId", .string(), "to resume the conversation"),
            .optional("exitCode", .integer(), "of the process"),
            .optional("failure", failure, "why it did not complete"),
            .optional("cancelledBy", .string(), "who"),
            .optional("usage", usage, "tokens and money"),
            .optional("durationMs", .integer(), "milliseconds"),
            .required("createdAt", time, "when"),
            .optional("assignedAt", time, "when"),
            .optional("startedAt", time, "when"),
            .optional("endedAt", time, "when"),
            .required("config", config, "caps"),
            .optional("report", report, "the end as its worker reported it"),
            .optional("failures", .integer(), "how often the machinery beneath it failed"),
            .optional("notBefore", time, "of a queued one that failed: when the next attempt may begin"),
            .optional("retryOf", .string(), "the dead letter that it runs again"),
        ]
    )

    static let attempt = Schema.object(
        name: "Attempt",
        members: [
            .required("attempt", .integer(), "from 1"),
            .optional("workerId", .string(), "who had it"),
            .optional("worker", .string(), "that worker's name"),
            .optional("environmentId", .string(), "env_…"),
            .optional("instance", .integer(), "incarnation of the environment"),
            .required("assignedAt", time, "when"),
            .optional("startedAt", time, "when its process was there"),
            .optional("endedAt", time, "when"),
            .optional("outcome", .string(), "completed, failed, cancelled, timedOut, or requeued; absent while open"),
            .optional("failure", failure, "why it did not complete"),
        ]
    )

    static let deadLetter = Schema.object(
        name: "DeadLetter",
        members: [
            .required("executionId", .string(), "exec_…"),
            .required("title", .string(), "start of the prompt, or the command"),
            .optional("environmentId", .string(), "env_…"),
            .required("failures", .integer(), "until it was given up"),
            .optional("failure", failure, "the last one"),
            .required("createdAt", time, "when the execution was made"),
            .required("deadLetteredAt", time, "when it was given up"),
            .required("expiresAt", time, "when it goes by itself"),
            .optional("retriedAs", .string(), "the execution that ran it again"),
            .optional("attempts", .array(attempt), "each of them, oldest first; only of a single letter"),
        ]
    )

    static let environment = Schema.object(
        name: "Environment",
        members: [
            .required("id", .string(), "env_…"),
            .required("name", .string(), "unique per owner"),
            .required("ownership", .string(), "personal, further or organization"),
            .required("status", .string(), "observed state"),
            .required("desired", .string(), "desired state"),
            .optional("statusMessage", .string(), "the provider's words"),
            .required("statusSince", time, "when"),
            .optional("deadlineAt", time, "when the state is given up"),
            .required("instance", .integer(), "incarnation number"),
            .required("spec", environmentSpec, "what was asked for"),
            .optional("limitsEnforced", .string(), "none, rlimit, cgroup1 or cgroup2"),
            .required("limitations", .array(.string()), "what cannot be enforced"),
            .optional("autoStopMinutes", .integer(), "unused for this long it is paused; absent: never"),
            .optional("idleStopMinutes", .integer(), "unused for this long it is stopped; absent: never"),
            .optional("requestedLimits", limits, "what was asked for, where less was granted"),
            .optional("expiresAt", time, "when it is destroyed by itself; absent: never"),
            .optional("lost", .array(.string()), "in the answer to a stop: what that takes from it; its files stay"),
            .required("createdAt", time, "when"),
            .optional("lastHealthCheckAt", time, "when"),
            .optional("lastActiveAt", time, "when"),
            .required("version", .integer(), "changes with each write"),
        ]
    )

    static let environmentWhy = Schema.object(
        name: "EnvironmentWhy",
        members: [
            .required("status", .string(), "observed state"),
            .required("desired", .string(), "desired state"),
            .required("since", time, "when"),
            .optional("message", .string(), "the provider's words"),
            .optional("deadlineAt", time, "when the state is given up"),
            .required("allowed", .array(.string()), "verbs"),
            .required("changes", .array(change), "newest first"),
        ]
    )

    static let workspace = Schema.object(
        name: "Workspace",
        members: [
            .required("id", .string(), "ws_…"),
            .optional("environmentId", .string(), "env_…"),
            .optional("repositoryId", .string(), "repo_…"),
            .required("name", .string(), "directory name"),
            .required("branch", .string(), "the task's branch"),
            .required("status", .string(), "NEW, PROVISIONING, READY, FAILED or ARCHIVED"),
            .required("location", .string(), "DESKTOP or CLOUD"),
            .optional("outcome", outcome, "what the last run left behind"),
            .required("createdAt", time, "when"),
        ]
    )

    static let repository = Schema.object(
        name: "Repository",
        members: [
            .required("id", .string(), "repo_…"),
            .required("name", .string(), "short name"),
            .required("url", .string(), "normalised"),
            .optional("defaultBranch", .string(), "the remote's own where absent"),
            .required("createdAt", time, "when"),
        ]
    )

    static let worker = Schema.object(
        name: "Worker",
        members: [
            .required("id", .string(), "as it names itself"),
            .optional("environmentId", .string(), "env_…"),
            .required("version", .string(), "its own"),
            .required("capabilities", .array(.string()), "such as claude-cli"),
            .required("slots", .integer(), "executions at the same time"),
            .required("executions", .array(.string()), "what it runs now"),
            .required("isConnected", .boolean, "now"),
            .optional("connectedAt", time, "when"),
            .optional("lastHeardAt", time, "when"),
        ]
    )

    static let apiKey = Schema.object(
        name: "Key",
        members: [
            .required("id", .string(), "key_…"),
            .required("userId", .string(), "user_…"),
            .required("name", .string(), "what it is for"),
            .required("ending", .string(), "its last characters"),
            .required("createdAt", time, "when"),
            .optional("expiresAt", time, "when"),
            .optional("lastUsedAt", time, "when"),
            .optional("revokedAt", time, "when"),
        ]
    )

    static let createdAPIKey = Schema.object(
        name: "CreatedKey",
        members: [.required("key", apiKey, "the key's record"), .required("token", .string(), "the key itself")]
    )

    static let whoAmI = Schema.object(
        name: "WhoAmI",
        members: [
            .required("organizationId", .string(), "org_…"),
            .required("userId", .string(), "user_…"),
            .required("role", .string(), "owner, admin, member or contributor"),
            .optional("keyId", .string(), "key_…"),
        ]
    )

    static let change = Schema.object(
        name: "Change",
        members: [
            .required("sequence", .integer(), "dense within the organization"),
            .required("type", .string(), "past tense"),
            .required("subject", .string(), "id of the thing"),
            .required("payload", .any, "what changed"),
            .required("at", time, "when"),
        ]
    )

    static let changePage = Schema.object(
        name: "ChangePage",
        members: [
            .required("changes", .array(change), "oldest first"),
            .required("nextAfter", .integer(), "hand it back as `after`"),
            .required("oldest", .integer(), "first number that is kept"),
            .required("last", .integer(), "the organization's last number"),
        ]
    )

    static let health = Schema.object(
        name: "Health",
        members: [
            .required("status", .string(), "ok or unavailable"),
            .optional("checks", .map(.string()), "one line each"),
        ]
    )

    static let version = Schema.object(
        name: "Version",
        members: [
            .required("version", .string(), "of the server"),
            .required("apiVersion", .string(), "v1"),
            .required("workerProtocol", .integer(), "of the worker's WebSocket"),
        ]
    )

    static let compatibilityAccepted = Schema.object(
        name: "ExecuteAccepted",
        members: [.required("executionId", .string(), "exec_…"), .required("status", .string(), "queued")]
    )

    static let compatibilityExecution = Schema.object(
        name: "ExecuteStatus",
        members: [
            .required("executionId", .string(), "exec_…"),
            .required("status", .string(), "state"),
            .required("outputLines", .integer(), "lines so far"),
            .required("output", .array(.string()), "lines from `offset` on"),
            .optional("durationMs", .integer(), "milliseconds"),
            .optional("sessionId", .string(), "the agent's own"),
            .optional("totalCostUsd", .number, "US dollars"),
        ]
    )

    static let compatibilityStatus = Schema.object(
        name: "OrchestratorStatus",
        members: [
            .required("workers", .array(.any), "workerId, status, currentExecutionId"),
            .required("queue", .any, "queued, running"),
            .required("token", .any, "isConfigured"),
        ]
    )
}
