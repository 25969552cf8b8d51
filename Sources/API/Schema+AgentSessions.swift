import Domain

extension Schema {
    private static let modes = ["default", "acceptEdits", "plan", "bypassPermissions"]

    static let createAgentSession = Schema.object(
        name: "CreateAgentSession",
        members: [
            .optional("name", .string(), "1 to 60 of a-z, 0-9, -, _ and .; default the agent's name"),
            .optional("agent", .string(values: AgentKind.conversing.map(\.rawValue)), "default claude"),
            .optional("workflow", .string(), "what it is for: feature (default), bugfix, explore, ratchet, …"),
            .optional("command", .array(.string()), "program and arguments, for acp and command"),
            .optional("instructions", .string(), "added to the agent's own"),
            .optional("model", .string(), "default the agent's own"),
            .optional("permissionMode", .string(values: modes), "default default: ask for more than looking"),
            .optional("prompt", .string(), "the first message"),
            .optional(
                "requestTimeoutMs",
                .integer(minimum: 1000, maximum: 86_400_000),
                "how long a permission or a question waits before it is denied; default 300000"
            ),
        ]
    )

    static let sendMessage = Schema.object(
        name: "SendMessage",
        members: [
            .required("text", .string(), "what is said"),
            .optional("id", .string(), "msg_…, made by the caller: a repeated request sends one"),
        ]
    )

    static let answerRequest = Schema.object(
        name: "AnswerRequest",
        members: [
            .required("decision", .string(values: ["allow", "allowAlways", "deny"]), "yes or no"),
            .optional("answers", .map(.string()), "to a question: by the id of its part"),
            .optional("message", .string(), "why not, or what instead; the agent reads it"),
        ]
    )

    static let changeAgentSession = Schema.object(
        name: "ChangeAgentSession",
        members: [
            .optional("model", .string(), "for the turns to come"),
            .optional("permissionMode", .string(values: modes), "at once"),
        ]
    )

    static let agentSession = Schema.object(
        name: "AgentSession",
        members: [
            .required("id", .string(), "sess_…"),
            .required("workspaceId", .string(), "ws_…"),
            .required("name", .string(), "unique among those of the workspace that were not stopped"),
            .required("agent", .string(), "claude, codex, acp or command"),
            .required("workflow", .string(), "what it is for"),
            .required("status", .string(), "IDLE, RUNNING, PAUSED, COMPLETED or FAILED"),
            .required("activity", .string(), "idle, working, needsInput, done or error"),
            .optional("model", .string(), "the one in use"),
            .required("permissionMode", .string(), "what it may do without asking"),
            .optional("agentSessionId", .string(), "the agent's own name of the conversation"),
            .optional("transcriptPath", .string(), "the agent's own file of it, in the environment"),
            .required("directory", .string(), "the checkout"),
            .required("turns", .integer(), "so far"),
            .optional("turnStartedAt", time, "of the turn that runs"),
            .required("queue", .array(message), "messages that wait, oldest first"),
            .required("isQueueHeld", .boolean, "they wait for the next one that is sent"),
            .required("requests", .array(.any), "what waits for a person: id, kind, title, tool, questions, expiresAt"),
            .optional("failure", .any, "why the last turn failed: code, message, remedy"),
            .required("usage", .any, "tokens so far"),
            .required("lastSequence", .integer(), "of its log"),
            .required("createdAt", time, "when"),
            .required("changedAt", time, "when"),
        ]
    )

    private static let message = Schema.object(
        name: "SessionMessage",
        members: [
            .required("id", .string(), "msg_…"),
            .required("text", .string(), "what is said"),
            .required("state", .string(), "PENDING, SENT, ACCEPTED, COMMITTED, FAILED or CANCELLED"),
            .required("at", time, "when it was sent"),
        ]
    )
}
