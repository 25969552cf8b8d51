extension RouteTable {
    static let workspaces: [Route] = [
        Route(
            .workspaceCreate,
            .post,
            "/v1/workspaces",
            .run,
            "Make a workspace: of a repository and branch, an issue, another workspace, or a working tree that there is. "
                + "Answers at once; its set-up is the execution `initExecutionId`, whose output can be followed.",
            body: .createWorkspace,
            answer: .json(.workspace, status: 201),
            isAudited: true
        ),
        Route(
            .workspaceList,
            .get,
            "/v1/workspaces",
            .read,
            "List workspaces, newest first.",
            query: cursor + [.init("archived", .boolean, "with those that are archived; default false")],
            answer: .json(.page("WorkspacePage", of: .workspace))
        ),
        Route(
            .workspaceGet,
            .get,
            "/v1/workspaces/{workspaceId}",
            .read,
            "One workspace, by its id or its name.",
            answer: .json(.workspace)
        ),
        Route(
            .workspaceUpdate,
            .put,
            "/v1/workspaces/{workspaceId}",
            .run,
            "Change what a person may change of a workspace; what is absent stays.",
            body: .updateWorkspace,
            answer: .json(.workspace),
            isAudited: true
        ),
        Route(
            .workspaceRetry,
            .post,
            "/v1/workspaces/{workspaceId}/retry",
            .run,
            "Try a failed set-up again, three times at most.",
            query: [.init("force", .boolean, "however often it has been tried; default false")],
            answer: .json(.workspace, status: 202),
            isAudited: true
        ),
        Route(
            .workspaceArchive,
            .post,
            "/v1/workspaces/{workspaceId}/archive",
            .run,
            "End what runs in a workspace and remove its working tree; its branches and stashes are kept. Refused, with "
                + "the list, where that would lose something.",
            body: .archiveWorkspace,
            answer: .json(.archivedWorkspace),
            isAudited: true
        ),
        Route(
            .workspaceUnarchive,
            .post,
            "/v1/workspaces/{workspaceId}/unarchive",
            .run,
            "Make the working tree of an archived workspace again, with its branches and stashes.",
            query: [.init("setup", .boolean, "the set-up script also for a working tree in place; default false")],
            answer: .json(.workspace, status: 202),
            isAudited: true
        ),
        Route(
            .workspaceDelete,
            .delete,
            "/v1/workspaces/{workspaceId}",
            .run,
            "Forget an archived workspace with the branches that were kept of it.",
            answer: .json(.workspace),
            isAudited: true
        ),
        Route(
            .workspaceVariables,
            .get,
            "/v1/workspaces/{workspaceId}/variables",
            .read,
            "Names of a workspace's variables; values are never shown.",
            answer: .json(.variableNames)
        ),
        Route(
            .workspaceVariablesSet,
            .put,
            "/v1/workspaces/{workspaceId}/variables",
            .run,
            "Set variables that every program of the workspace gets from then on; the others stay.",
            body: .setVariables,
            answer: .json(.variableNames),
            isAudited: true
        ),
        Route(
            .workspaceVariableRemove,
            .delete,
            "/v1/workspaces/{workspaceId}/variables/{name}",
            .run,
            "Remove one variable.",
            answer: .json(.variableNames),
            isAudited: true
        ),
        Route(
            .workspaceSync,
            .post,
            "/v1/workspaces/{workspaceId}/sync",
            .run,
            "Look at the workspace's remote now, and move its branch forward where nothing is in the way. Nothing is ever "
                + "discarded; `sync` says how it stands and what to do.",
            answer: .json(.workspace),
            isAudited: true
        ),
        Route(
            .workspaceConfiguration,
            .get,
            "/v1/workspaces/{workspaceId}/configuration",
            .read,
            "What the repository's berth.json says, and what other tools' files would give. Needs a running environment.",
            answer: .json(.workspaceConfiguration)
        ),
        Route(
            .workspaceRun,
            .get,
            "/v1/workspaces/{workspaceId}/run",
            .read,
            "How the run script stands, and the ports that it listens on. Needs a running environment.",
            answer: .json(.runScript)
        ),
        Route(
            .workspaceRunStart,
            .post,
            "/v1/workspaces/{workspaceId}/run",
            .run,
            "Start the run script, on a terminal of its own.",
            body: .startRunScript,
            answer: .json(.runScript, status: 201),
            isAudited: true
        ),
        Route(
            .workspaceRunStop,
            .delete,
            "/v1/workspaces/{workspaceId}/run",
            .run,
            "Stop the run script and all that it started.",
            answer: .json(.runScript),
            isAudited: true
        ),
    ]
}
