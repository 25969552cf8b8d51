extension RouteTable {
    private static let place = "/v1/workspaces/{workspaceId}/agent-sessions"
    private static let one = place + "/{sessionId}"

    static let agentSessions: [Route] = [
        Route(
            .agentSessionCreate,
            .post,
            place,
            .run,
            "Begin an agent session in a workspace; wakes its environment first.",
            body: .createAgentSession,
            answer: .json(.agentSession, status: 201),
            isAudited: true
        ),
        Route(
            .agentSessionList,
            .get,
            place,
            .read,
            "List the agent sessions of a workspace whose environment runs, oldest first; stopped ones too.",
            answer: .json(.page("AgentSessionPage", of: .agentSession))
        ),
        Route(
            .agentSessionGet,
            .get,
            one,
            .read,
            "One agent session, by its id, or the name of one that was not stopped.",
            answer: .json(.agentSession)
        ),
        Route(
            .agentSessionSend,
            .post,
            one + "/messages",
            .run,
            "Send a message; it waits while the agent works. While a question or a plan waits, it is the answer.",
            body: .sendMessage,
            answer: .json(.agentSession, status: 202),
            isAudited: true
        ),
        Route(
            .agentSessionWithdraw,
            .delete,
            one + "/messages/{messageId}",
            .run,
            "Take back a message that waits.",
            answer: .json(.agentSession),
            isAudited: true
        ),
        Route(
            .agentSessionAnswer,
            .post,
            one + "/requests/{requestId}/answer",
            .run,
            "Answer a permission, a question or a plan that waits.",
            body: .answerRequest,
            answer: .json(.agentSession),
            isAudited: true
        ),
        Route(
            .agentSessionInterrupt,
            .post,
            one + "/interrupt",
            .run,
            "Interrupt the turn that runs. Messages that wait stay, and go on with the next one that is sent.",
            answer: .json(.agentSession, status: 202),
            isAudited: true
        ),
        Route(
            .agentSessionChange,
            .put,
            one + "/settings",
            .run,
            "Change the model or the permission mode, also in the middle of a turn.",
            body: .changeAgentSession,
            answer: .json(.agentSession),
            isAudited: true
        ),
        Route(
            .agentSessionStop,
            .post,
            one + "/stop",
            .run,
            "End the agent's process and withdraw what waits. The log stays; a message takes the conversation up again.",
            answer: .json(.agentSession, status: 202),
            isAudited: true
        ),
        Route(
            .agentSessionRemove,
            .delete,
            one,
            .run,
            "Stop an agent session and remove its log.",
            answer: .json(.agentSession, status: 202),
            isAudited: true
        ),
        Route(
            .agentSessionEvents,
            .get,
            one + "/events",
            .read,
            "Follow an agent session: `session` (as it is, first of all and after each change), `event` (a SessionEvent, "
                + "with its sequence as id), `snapshot` (what was there has been told), `gap` (from, to: events that are "
                + "kept no longer). Resumes at `Last-Event-ID`. Over a WebSocket each is a text message: an object with "
                + "`session`, `event`, `snapshot` or `gap`.",
            query: [
                .init("after", .integer(), "only events behind this sequence; negative: the last so many; default 0"),
                .init("follow", .boolean, "default true; false: end after the snapshot"),
            ],
            answer: .serverSentEvents,
            otherAnswers: [.webSocket]
        ),
    ]
}
