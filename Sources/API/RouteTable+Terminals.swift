extension RouteTable {
    static let terminals: [Route] = [
        Route(
            .terminalCreate,
            .post,
            "/v1/environments/{environmentId}/terminals",
            .run,
            "Start a program on a terminal in an environment; wakes the environment first.",
            body: .createTerminal,
            answer: .json(.terminal, status: 201),
            isAudited: true
        ),
        Route(
            .terminalList,
            .get,
            "/v1/environments/{environmentId}/terminals",
            .read,
            "List the terminals of a running environment, oldest first; those that have ended too, while kept.",
            answer: .json(.page("TerminalSessionPage", of: .terminal))
        ),
        Route(
            .terminalGet,
            .get,
            "/v1/environments/{environmentId}/terminals/{terminalId}",
            .read,
            "One terminal, by its id, or the name of one that runs.",
            answer: .json(.terminal)
        ),
        Route(
            .terminalEnd,
            .post,
            "/v1/environments/{environmentId}/terminals/{terminalId}/end",
            .run,
            "End a terminal's program and all that it started: SIGTERM, after 5 s SIGKILL. Its bytes stay.",
            answer: .json(.terminal, status: 202),
            isAudited: true
        ),
        Route(
            .terminalRemove,
            .delete,
            "/v1/environments/{environmentId}/terminals/{terminalId}",
            .run,
            "End a terminal and remove every byte of it.",
            answer: .json(.terminal, status: 202),
            isAudited: true
        ),
        Route(
            .terminalRecording,
            .get,
            "/v1/environments/{environmentId}/terminals/{terminalId}/recording",
            .run,
            "What a terminal showed and when, as far as it is kept: asciicast version 2, for asciinema and other players.",
            answer: .bytes,
            isAudited: true
        ),
        Route(
            .terminalAttach,
            .get,
            "/v1/environments/{environmentId}/terminals/{terminalId}/attach",
            .run,
            "A WebSocket to a terminal. Binary messages are pieces of one stream of frames each way: a byte kind, 4 "
                + "bytes length, the payload; numbers are big-endian. From the terminal: 1 data (8 bytes offset, then "
                + "output), 2 size (2 bytes columns, 2 bytes rows), 3 end (JSON: exitCode, signal or isLost), 4 gap "
                + "(8 bytes from, 8 bytes to: kept no longer). To the terminal: 16 input, 17 size. Closes as a tunnel.",
            query: [
                .init("offset", .integer(), "first byte wanted; negative: so many before the end; default -65536"),
                .init("columns", .integer(minimum: 1, maximum: 1000), "the viewer's size, with rows"),
                .init("rows", .integer(minimum: 1, maximum: 1000), "the viewer's size, with columns"),
                .init("readOnly", .boolean, "look on only; default false"),
                .init("snapshot", .boolean, "end after what is there now; default false"),
            ],
            answer: .webSocket,
            isAudited: true
        ),
    ]
}

extension Schema {
    static let createTerminal = Schema.object(
        name: "CreateTerminal",
        members: [
            .optional("name", .string(), "1 to 60 of a-z, 0-9, -, _ and .; default shell, shell-2, …"),
            .optional("workspaceId", .string(), "ws_…: the program begins in its checkout"),
            .optional("command", .array(.string()), "program and arguments; default the user's login shell"),
            .optional("directory", .string(), "absolute, or within the workspace or the home directory"),
            .optional("columns", .integer(minimum: 1, maximum: 1000), "default 80"),
            .optional("rows", .integer(minimum: 1, maximum: 1000), "default 24"),
        ]
    )

    static let terminal = Schema.object(
        name: "TerminalSession",
        members: [
            .required("id", .string(), "term_…"),
            .required("environmentId", .string(), "env_…"),
            .optional("workspaceId", .string(), "ws_…"),
            .required("name", .string(), "unique among those that run"),
            .required("status", .string(), "running or ended"),
            .required("command", .array(.string()), "program and arguments"),
            .required("directory", .string(), "where it began"),
            .required("columns", .integer(), "the size in force"),
            .required("rows", .integer(), "the size in force"),
            .required("createdAt", time, "when"),
            .optional("endedAt", time, "when its program ended"),
            .optional("exitCode", .integer(), "where it exited"),
            .optional("signal", .integer(), "where a signal ended it"),
            .required("firstByte", .integer(), "offset of the oldest byte kept"),
            .required("endByte", .integer(), "bytes that it has written in all"),
            .required("viewers", .integer(), "who is attached now"),
        ]
    )
}
