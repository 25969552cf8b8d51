extension RouteTable {
    private static let place = "/v1/hand-overs/{handOverId}"

    static let handOvers: [Route] = [
        Route(
            .handOverSend,
            .post,
            "/v1/workspaces/{workspaceId}/send",
            .run,
            "Send a workspace to another server: checkout with all that is uncommitted, stashes, agents' memory, terminals. "
                + "Repeated, it goes on with what was interrupted.",
            body: .sendWorkspace,
            answer: .json(.handOver, status: 202),
            isAudited: true
        ),
        Route(
            .handOverPull,
            .post,
            "/v1/hand-overs",
            .run,
            "Pull a workspace from another server. Repeated, it goes on with what was interrupted.",
            body: .pullWorkspace,
            answer: .json(.handOver, status: 202),
            isAudited: true
        ),
        Route(
            .handOverTake,
            .post,
            "/v1/workspaces/{workspaceId}/take",
            .run,
            "Own a workspace whose hand-over never ends, because the other server is lost for ever. Where that lives on, "
                + "both own it until they meet; the other then steps down and keeps its version as berth/orphan/….",
            body: .takeWorkspace,
            answer: .json(.handOver),
            isAudited: true
        ),
        Route(
            .handOverList,
            .get,
            "/v1/hand-overs",
            .read,
            "List hand-overs, newest first.",
            query: cursor,
            answer: .json(.page("HandOverPage", of: .handOver))
        ),
        Route(.handOverGet, .get, place, .read, "One hand-over.", answer: .json(.handOver)),
        Route(
            .handOverMessage,
            .post,
            place + "/messages",
            .run,
            "What one server says to the other, with the key of whoever set the hand-over off.",
            body: .handOverMessage,
            answer: .json(.handOverReply)
        ),
        Route(
            .handOverArchive,
            .get,
            place + "/archive",
            .run,
            "The packed workspace, for the destination.",
            answer: .bytes
        ),
        Route(
            .handOverDeliver,
            .put,
            place + "/archive",
            .run,
            "The packed workspace, from the source.",
            query: [.init("sha256", .string(), "of the bytes, hexadecimal; required")],
            takesBytes: true,
            answer: .bytes
        ),
        Route(
            .workerHandOver,
            .get,
            "/v1/worker/hand-overs/{handOverId}/archive",
            .worker,
            "The packed workspace, for the worker that makes it again.",
            answer: .bytes
        ),
        Route(
            .workerHandOverPut,
            .put,
            "/v1/worker/hand-overs/{handOverId}/archive",
            .worker,
            "The packed workspace, from its worker.",
            query: [.init("sha256", .string(), "of the bytes, hexadecimal")],
            takesBytes: true,
            answer: .bytes
        ),
        Route(
            .workerVariables,
            .get,
            "/v1/worker/workspaces/{workspaceId}/variables",
            .worker,
            "A workspace's variables, for the worker that starts an agent in it.",
            answer: .bytes
        ),
    ]
}

extension Schema {
    private static let peer = Schema.object(
        name: "HandOverPeer",
        members: [
            .required("name", .string(), "what the caller calls it"),
            .required("url", .string(), "https://…, or http:// of this machine"),
            .required("token", .string(), "an API key of the caller's there"),
            .optional("pin", .string(), "sha256/… of its certificate's key"),
        ]
    )
    private static let ignored: [Schema.Member] = [
        .optional("includeIgnored", .boolean, "ignored files as well; default false"),
        .optional("ignoredLimitBytes", .integer(minimum: 0), "bytes of ignored files at most; default 104857600"),
    ]

    static let sendWorkspace = Schema.object(
        name: "SendWorkspace",
        members: [.required("peer", peer, "the server that it goes to")] + ignored
    )
    static let pullWorkspace = Schema.object(
        name: "PullWorkspace",
        members: [
            .required("peer", peer, "the server that it comes from"),
            .required("workspaceId", .string(), "ws_… of the workspace there"),
        ] + ignored
    )
    static let takeWorkspace = Schema.object(
        name: "TakeWorkspace",
        members: [.required("force", .boolean, "true: a living other side then owns it too, until both meet")]
    )

    static let handOver = Schema.object(
        name: "HandOver",
        members: [
            .required("id", .string(), "ho_…"),
            .required("side", .string(values: ["source", "destination"]), "which end this server is"),
            .required(
                "state",
                .string(),
                "PREPARING, COMMITTED, DONE; STAGING, PREPARED, OWNER; ABORTED, RETAKEN, ORPHANED"
            ),
            .required("stage", .string(), "what is being done"),
            .required("workspaceId", .string(), "ws_… of this server's row"),
            .required("peerName", .string(), "the other server"),
            .optional("peerWorkspaceId", .string(), "ws_… of the other server's row"),
            .required("epoch", .integer(), "that the destination gets"),
            .optional("bytes", .integer(), "that travel"),
            .optional("summary", .any, "what travels and what does not"),
            .optional("failure", failure, "what the last try came to"),
            .required("createdAt", time, "when"),
            .required("stateEnteredAt", time, "when"),
        ]
    )

    private static let offer = Schema.object(
        name: "WorkspaceOffer",
        members: [
            .required("workspaceId", .string(), "ws_… of the source"),
            .required("epoch", .integer(minimum: 1), "that the destination gets"),
            .required("name", .string(), "of the workspace"),
            .required("directory", .string(), "of its checkout"),
            .optional("repositoryUrl", .string(), "what git clones from"),
            .optional("baseReference", .string(), "what it began from"),
            .required("branch", .string(), "its branch"),
            .optional("issueUrl", .string(), "what it is about"),
            .optional("pullRequestUrl", .string(), "its pull request"),
            .optional("pullRequestNumber", .integer(), "its pull request"),
            .required("ratchetEnabled", .boolean, "whether its pull request is watched"),
            .optional("ratchetState", .string(), "of the watch"),
            .required("secretNames", .array(.string()), "of variables that its programs have"),
            .required("details", .any, "what else its row says"),
        ]
    )

    private static let lacks = Schema.object(
        name: "HandedLacks",
        members: [
            .required("missingVariables", .array(.string()), "names of variables that have no value there"),
            .required("missingLogin", .boolean, "whether there is no login for its remote"),
            .required("runsLeft", .integer(minimum: 0), "executions that stay where they were"),
        ]
    )

    static let handOverMessage = Schema.object(
        name: "HandOverMessage",
        members: [
            .required("kind", .string(values: HandOverMessage.Kind.allCases.map(\.rawValue)), "what is said"),
            .required("version", .integer(minimum: 1), "of this exchange"),
            .optional("offer", offer, "of kind offer"),
            .optional("known", .array(.string()), "of kind pack: commits that the sender has"),
            .optional("sha256", .string(), "of the archive"),
            .optional("bytes", .integer(minimum: 0), "of the archive"),
            .optional("epoch", .integer(minimum: 1), "of kinds request and superseded"),
            .optional("sender", .string(), "what the sender is called"),
            .optional("location", .string(values: ["DESKTOP", "CLOUD"]), "of the sender's workspaces"),
            .optional("workspaceId", .string(), "of kind request"),
        ] + ignored
    )

    static let handOverReply = Schema.object(
        name: "HandOverReply",
        members: [
            .required("handOver", handOver, "as the answering server has it"),
            .required("location", .string(values: ["DESKTOP", "CLOUD"]), "of the answering server's workspaces"),
            .optional("known", .array(.string()), "commits that it has"),
            .optional("offer", offer, "of the workspace"),
            .optional("sha256", .string(), "of the archive"),
            .optional("lacks", lacks, "of the destination: what the workspace will not have there"),
        ]
    )
}
