extension RouteTable {
    static let setup: [Route] = [
        Route(
            .setupGet,
            .get,
            "/v1/setup",
            .read,
            "How far the caller is with the personal environment: which programs in it have their logins.",
            answer: .json(.setup)
        ),
        Route(
            .setupBegin,
            .post,
            "/v1/setup",
            .run,
            "Make the caller's personal environment, and wake it. Logins are then made on terminals in it, and stay there: "
                + "the server sees and keeps none.",
            answer: .json(.setup),
            isAudited: true
        ),
        Route(
            .setupCheck,
            .post,
            "/v1/setup/check",
            .run,
            "Ask the programs inside whether they have their logins; complete when all have that are not skipped.",
            body: .checkSetup,
            answer: .json(.setup),
            isAudited: true
        ),
    ]
}

extension Schema {
    static let checkSetup = Schema.object(
        name: "CheckSetup",
        members: [.optional("skip", .array(.string()), "tools to do without, such as gh")]
    )

    private static let toolLogin = Schema.object(
        name: "ToolLogin",
        members: [
            .required("tool", .string(), "gh or claude"),
            .required(
                "state",
                .string(values: ToolLogin.State.allCases.map(\.rawValue)),
                "what the program itself says"
            ),
            .required("command", .array(.string()), "what logs in, on a terminal in the environment"),
        ]
    )

    static let setup = Schema.object(
        name: "Setup",
        members: [
            .optional("environmentId", .string(), "env_…, the personal one"),
            .required("logins", .array(toolLogin), "as of the last check"),
            .optional("checkedAt", time, "when"),
            .optional("completedAt", time, "when everything had its login"),
        ]
    )
}
