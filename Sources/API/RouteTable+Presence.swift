extension RouteTable {
    private static let root = "/v1/workspaces/{workspaceId}/presences"

    static let presence: [Route] = [
        Route(
            .presenceJoin,
            .post,
            root,
            .run,
            "Say that somebody works in a workspace; wakes its environment first. The client says every 20 s that it lives, "
                + "and has gone after 60 s of silence.",
            body: .joinWorkspace,
            answer: .json(.presence, status: 201),
            isAudited: true
        ),
        Route(
            .presenceList,
            .get,
            root,
            .read,
            "Who is connected to a workspace, from what kind of client; oldest first.",
            answer: .json(.page("PresencePage", of: .presence))
        ),
        Route(
            .presenceHeartbeat,
            .post,
            root + "/{presenceId}/heartbeat",
            .run,
            "The client lives. 410 where it was silent for too long: it joins again. Not a use of the environment.",
            answer: .json(.presence)
        ),
        Route(.presenceLeave, .delete, root + "/{presenceId}", .run, "The client goes.", answer: .json(.presence)),
    ]
}

extension Schema {
    static let joinWorkspace = Schema.object(
        name: "JoinWorkspace",
        members: [.optional("clientType", .string(values: ["desktop", "web"]), "default desktop")]
    )

    static let presence = Schema.object(
        name: "Presence",
        members: [
            .required("id", .string(), "pres_…"),
            .required("environmentId", .string(), "env_…"),
            .optional("workspaceId", .string(), "ws_…; absent: the environment as a whole"),
            .required("userId", .string(), "user_…"),
            .required("userName", .string(), "who"),
            .required("clientType", .string(values: ["desktop", "web"]), "from what"),
            .required("connectedAt", time, "when"),
            .required("lastHeartbeatAt", time, "when"),
            .required("expiresAt", time, "when it counts as gone without a further word"),
            .required("heartbeatMs", .integer(), "how often its client should say that it lives"),
        ]
    )
}
