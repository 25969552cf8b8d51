extension RouteTable {
    private static let root = "/v1/workspaces/{workspaceId}/git"
    private static let path = Route.Parameter("path", .string(), "only this file, or what is below this directory")

    /// git in a workspace's checkout, as the environment's user. All of them wake the environment.
    static let git: [Route] = [
        Route(
            .gitStatus,
            .get,
            root + "/status",
            .read,
            "Branch, upstream, and every path that differs from the last commit.",
            answer: .json(.gitStatus)
        ),
        Route(
            .gitDiff,
            .get,
            root + "/diff",
            .read,
            "A difference, file by file, with patches as far as they fit.",
            query: [
                .init(
                    "scope",
                    .string(values: ["unstaged", "staged", "head", "base"]),
                    "files against index (the default), index against last commit, files against last commit, files "
                        + "against where the branch left its base"
                ),
                .init("base", .string(), "branch, tag or commit, for scope base; default the remote's default branch"),
                path,
                .init("patches", .boolean, "default true"),
                .init("maxPatchBytes", .integer(minimum: 0, maximum: 8 << 20), "of all patches, default 1 MiB"),
            ],
            answer: .json(.gitDiff)
        ),
        Route(
            .gitLog,
            .get,
            root + "/log",
            .read,
            "Commits, newest first.",
            query: [
                .init("reference", .string(), "branch, tag, commit or range; default what is checked out"), path,
                .init("skip", .integer(minimum: 0, maximum: 1_000_000), "default 0"),
                .init("limit", .integer(minimum: 1, maximum: 1000), "default 50"),
            ],
            answer: .json(.gitLog)
        ),
        Route(
            .gitCommit,
            .post,
            root + "/commits",
            .run,
            "Commit what is staged, some paths, or every change.",
            body: .commitChanges,
            answer: .json(.gitCommit, status: 201),
            isAudited: true
        ),
        Route(
            .gitBranchList,
            .get,
            root + "/branches",
            .read,
            "Branches, here and at the remote as last fetched, newest first.",
            answer: .json(.page("GitBranchPage", of: .gitBranch))
        ),
        Route(
            .gitBranchCreate,
            .post,
            root + "/branches",
            .run,
            "Make a branch and leave it be.",
            body: .createBranch,
            answer: .json(.gitStatus, status: 201),
            isAudited: true
        ),
        Route(
            .gitSwitch,
            .post,
            root + "/switch",
            .run,
            "Check a branch out; what is not committed stays or refuses.",
            body: .switchBranch,
            answer: .json(.gitStatus),
            isAudited: true
        ),
        Route(
            .gitPush,
            .post,
            root + "/push",
            .run,
            "Push what is checked out; never by force.",
            body: .pushBranch,
            answer: .json(.gitPush),
            isAudited: true
        ),
        Route(
            .gitPull,
            .post,
            root + "/pull",
            .run,
            "Bring the remote's branch here, by a merge where need be. `result` says what came of it; with conflict and "
                + "dirty `files` names what stands in the way, and nothing was changed or lost.",
            body: .pullBranch,
            answer: .json(.gitPull),
            isAudited: true
        ),
    ]

    static let processes: [Route] = [
        Route(
            .processList,
            .get,
            "/v1/environments/{environmentId}/processes",
            .read,
            "What runs in a running environment, by number.",
            answer: .json(.page("ProcessPage", of: .process))
        ),
        Route(
            .processSignal,
            .post,
            "/v1/environments/{environmentId}/processes/{pid}/signal",
            .run,
            "Send a signal to a process of the environment's user.",
            body: .signalProcess,
            answer: .json(.process),
            isAudited: true
        ),
    ]
}

extension Schema {
    private static let remoteAccess: [Member] = [
        .optional("gitCredentials", .array(gitLogin), "for this one operation; kept nowhere"),
        .optional("ssh", sshLogin, "for a repository behind ssh; kept nowhere"),
    ]

    private static let changeKind = Schema.string(values: [
        "modified", "added", "deleted", "renamed", "copied", "typeChanged",
    ])

    static let gitStatus = Schema.object(
        name: "GitStatus",
        members: [
            .optional("head", .string(), "the commit that is checked out"),
            .optional("branch", .string(), "absent where none is checked out"),
            .optional("upstream", .string(), "the remote branch that it follows"),
            .optional("ahead", .integer(), "commits that the upstream has not"),
            .optional("behind", .integer(), "commits of the upstream that are not here"),
            .required("stashes", .integer(), "how many"),
            .optional("operation", .string(), "merge, rebase, cherry-pick, revert or bisect, under way"),
            .required("changes", .array(gitChange), "every path that differs"),
            .required("isTruncated", .boolean, "whether there are more"),
        ]
    )

    private static let gitChange = Schema.object(
        name: "GitChange",
        members: [
            .required("path", .string(), "within the repository"),
            .optional("previousPath", .string(), "of one renamed or copied"),
            .optional("staged", changeKind, "the index against the last commit"),
            .optional("unstaged", changeKind, "the files against the index"),
            .required("isUntracked", .boolean, "git does not know it"),
            .required("isConflict", .boolean, "both sides of a merge changed it"),
        ]
    )

    static let gitDiff = Schema.object(
        name: "GitDiff",
        members: [
            .optional("base", .string(), "the commit that it is against, for scope base"),
            .required("additions", .integer(), "lines"),
            .required("deletions", .integer(), "lines"),
            .required(
                "files",
                .array(
                    .object(
                        name: "GitDiffFile",
                        members: [
                            .required("path", .string(), "within the repository"),
                            .optional("previousPath", .string(), "of one renamed or copied"),
                            .required("kind", changeKind, "what became of it"),
                            .optional("additions", .integer(), "lines; absent for a binary file"),
                            .optional("deletions", .integer(), "lines; absent for a binary file"),
                            .optional("patch", .string(), "in git's own form; absent where it was too long"),
                        ]
                    )
                ),
                "by path"
            ),
            .required("isTruncated", .boolean, "whether files or patches were left out for their length"),
        ]
    )

    static let gitCommit = Schema.object(
        name: "GitCommit",
        members: [
            .required("id", .string(), "full object name"),
            .required("parents", .array(.string()), "full object names"),
            .required("authorName", .string(), "who"),
            .required("authorEmail", .string(), "who"),
            .required("authoredAt", .string(), "ISO 8601 with the author's offset"),
            .required("subject", .string(), "first line of its message"),
            .required("body", .string(), "the rest"),
        ]
    )

    static let gitLog = Schema.object(
        name: "GitLog",
        members: [
            .required("items", .array(gitCommit), "newest first"),
            .required("isTruncated", .boolean, "whether there are more"),
        ]
    )

    static let gitBranch = Schema.object(
        name: "GitBranch",
        members: [
            .required("name", .string(), "of a remote's with its name before it"),
            .required("commit", .string(), "full object name"),
            .required("isCurrent", .boolean, "whether it is checked out"),
            .required("isRemote", .boolean, "whether it is a remote's"),
            .optional("upstream", .string(), "what it follows"),
            .optional("checkedOutAt", .string(), "another checkout that has it"),
            .required("subject", .string(), "of its last commit"),
        ]
    )

    static let gitPush = Schema.object(
        name: "GitPush",
        members: [
            .required("branch", .string(), "at the remote"), .required("commit", .string(), "full object name"),
        ]
    )

    static let gitPull = Schema.object(
        name: "GitPull",
        members: [
            .required(
                "result",
                .string(values: ["upToDate", "fastForwarded", "merged", "conflict", "dirty"]),
                "what came of it"
            ),
            .required("before", .string(), "the commit that was checked out"),
            .required("after", .string(), "the one that is now"),
            .required("remote", .string(), "the remote's"),
            .required("files", .array(.string()), "in conflict, or in the way"),
            .optional("remedy", .string(), "what to do about them"),
        ]
    )

    static let commitChanges = Schema.object(
        name: "CommitChanges",
        members: [
            .required("message", .string(), "subject, an empty line, more"),
            .optional("all", .boolean, "every change, new files too; default false: what is staged"),
            .optional("paths", .array(.string()), "these alone"),
            .optional("amend", .boolean, "into the last commit; default false"),
            .optional("hooks", .boolean, "run the repository's hooks; default true"),
        ]
    )

    static let createBranch = Schema.object(
        name: "CreateBranch",
        members: [
            .required("name", .string(), "of the new branch"),
            .optional("from", .string(), "branch, tag or commit; default what is checked out"),
        ]
    )

    static let switchBranch = Schema.object(
        name: "SwitchBranch",
        members: [
            .required("branch", .string(), "its name"),
            .optional("create", .boolean, "make it first; default false"),
            .optional("from", .string(), "where a new one begins; default what is checked out"),
        ]
    )

    static let pushBranch = Schema.object(
        name: "PushBranch",
        members: [.optional("branch", .string(), "its name at the remote; default as here")] + remoteAccess
    )

    static let pullBranch = Schema.object(
        name: "PullBranch",
        members: [
            .optional("branch", .string(), "of the remote; default the one that the branch follows, or of its name"),
            .optional("keepConflicts", .boolean, "leave a merge with conflicts in the checkout; default false"),
        ] + remoteAccess
    )

    static let process = Schema.object(
        name: "EnvironmentProcess",
        members: [
            .required("pid", .integer(), "within the environment"),
            .required("parent", .integer(), "its parent's number"),
            .required("user", .string(), "whose rights it has"),
            .required("state", .string(), "one letter, as in proc(5)"),
            .required("cpuMs", .integer(), "processor time of its own"),
            .required("memoryBytes", .integer(), "resident"),
            .required("startedAt", time, "when"),
            .required("command", .string(), "with its arguments"),
            .optional("owner", .string(), "the execution, terminal or session that it belongs to"),
            .required("isSignallable", .boolean, "whether it is the environment's user's"),
        ]
    )

    static let signalProcess = Schema.object(
        name: "SignalProcess",
        members: [
            .optional("signal", .string(), "a name such as TERM, or a number; default TERM"),
            .optional("startedAtMs", .integer(), "milliseconds since 1970, as listed: another one is left alone"),
        ]
    )
}
