import API
import Base
import Client
import Domain

/// `ws …`, `repo …`.
enum WorkspaceCommands {
    static let all =
        [list, show, rename, set, retry, log, archive, unarchive, delete, repositories]
        + [WorkspaceCreateCommand.command, WorkspaceAdoptCommand.command, WorkspaceEditorCommand.command]
        + WorkspaceRunCommands.all
        + WorkspaceVariableCommands.all + WorkspaceSyncCommands.all

    static let workspace = Operand(name: "WORKSPACE", count: .one, about: "name of a workspace, or its id, ws_…")

    private static let list = Command(
        path: ["ws", "ls"],
        summary: "List workspaces, newest first.",
        options: [.flag("archived", "With those that are archived.")],
        examples: [Example(line: "berth ws ls", about: "Your checkouts, and how they stand to their remotes")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<Workspace> = try await session.client.call(
                .workspaceList,
                query: arguments.has("archived") ? [("archived", "true")] : []
            )
            try session.print(page) {
                var table = Table(header: ["NAME", "STATUS", "REMOTE", "AGE", "BRANCH", "ID"])
                for workspace in page.items {
                    table.rows.append([
                        workspace.name, workspace.status.rawValue, workspace.sync?.state.rawValue ?? "-",
                        terminal.age(workspace.createdAt), workspace.branch, workspace.id.text,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let show = Command(
        path: ["ws", "show"],
        summary: "Show a workspace: how it stands, where it came from, what its last run left.",
        operands: [workspace],
        examples: [Example(line: "berth ws show login", about: "Branch, remote, commits, changes")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let workspace: Workspace = try await session.client.call(
                .workspaceGet,
                path: ["workspaceId": arguments.operands[0]]
            )
            try session.print(workspace) { WorkspaceText.text(workspace, terminal) }
            return 0
        }
    }

    private static let rename = Command(
        path: ["ws", "rename"],
        summary: "Give a workspace another name.",
        operands: [workspace, Operand(name: "NAME", count: .one, about: "1 to 60 of a-z, 0-9, -, _ and .")],
        examples: [Example(line: "berth ws rename fix-the-login-page login", about: "Shorter")]
    ) { arguments, terminal in
        var body = UpdateWorkspace()
        body.name = arguments.operands[1]
        return try await update(body, arguments, terminal)
    }

    private static let set = Command(
        path: ["ws", "set"],
        summary: "Change what may be changed of a workspace.",
        operands: [workspace],
        options: [
            .value("description", "TEXT", "A person's words."),
            .value("auto-sync", "ON", "Whether it looks at its remote by itself.", choices: ["on", "off"]),
            .value("auto-stop", "MINUTES", "Wished for its environment: 5 to 480, or 0 for none of its own."),
            .value("pull-request", "URL", "The pull request of its branch."),
            .value("ratchet", "ON", "Whether the pull request is looked after.", choices: ["on", "off"]),
        ],
        examples: [Example(line: "berth ws set login --auto-sync off", about: "Only 'berth ws refresh' looks then")]
    ) { arguments, terminal in
        var body = UpdateWorkspace()
        body.description = arguments.text("description")
        body.cloudSyncEnabled = try arguments.choice("auto-sync", of: ["on", "off"]).map { $0 == "on" }
        body.autoStopMinutes = try arguments.integer("auto-stop", in: 0...480)
        body.prUrl = arguments.text("pull-request")
        body.ratchetEnabled = try arguments.choice("ratchet", of: ["on", "off"]).map { $0 == "on" }
        guard body != UpdateWorkspace() else {
            throw BerthError(.usage, "there is nothing to change", remedy: "see 'berth ws set --help'")
        }
        return try await update(body, arguments, terminal)
    }

    private static func update(_ body: UpdateWorkspace, _ arguments: ParsedArguments, _ terminal: Terminal) async throws
        -> Int32
    {
        try await ServerSession.with(arguments, terminal) { session in
            let workspace: Workspace = try await session.client.call(
                .workspaceUpdate,
                path: ["workspaceId": arguments.operands[0]],
                body: body
            )
            try session.print(workspace) { WorkspaceText.text(workspace, terminal) }
            return 0
        }
    }

    private static let retry = Command(
        path: ["ws", "retry"],
        summary: "Try a failed set-up again.",
        operands: [workspace],
        options: [
            .flag("force", "However often it has been tried."),
            .flag("detach", short: "d", "Return at once; the set-up goes on."),
        ],
        examples: [Example(line: "berth ws retry login", about: "After its cause was corrected")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let workspace: Workspace = try await session.client.call(
                .workspaceRetry,
                path: ["workspaceId": arguments.operands[0]],
                query: arguments.has("force") ? [("force", "true")] : []
            )
            return try await session.followSetup(workspace, isDetached: arguments.has("detach"))
        }
    }

    private static let log = Command(
        path: ["ws", "log"],
        summary: "Show the output of a workspace's set-up.",
        operands: [workspace],
        examples: [Example(line: "berth ws log login", about: "Why it failed")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let workspace: Workspace = try await session.client.call(
                .workspaceGet,
                path: ["workspaceId": arguments.operands[0]]
            )
            guard let id = workspace.initExecutionId else {
                throw BerthError(
                    .notFound,
                    "the workspace '\(workspace.name)' had no set-up of its own",
                    remedy: "a run brought it along; see 'berth ls'"
                )
            }
            let execution: Execution = try await session.client.call(.executionGet, path: ["executionId": id.text])
            try await session.showStored(execution, as: .raw)
            return 0
        }
    }

    private static let archive = Command(
        path: ["ws", "archive"],
        summary: "End what runs in a workspace and remove its working tree; its branches and stashes are kept.",
        operands: [workspace],
        options: [
            .flag("commit", "Put what is not committed on the branch first."),
            .flag("force", "Lose it, and do without an environment that cannot be reached."),
        ],
        examples: [
            Example(line: "berth ws archive login", about: "Refused, with the list, where something would be lost"),
            Example(line: "berth ws archive login --commit", about: "What is left over becomes a commit"),
        ]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let archived: ArchivedWorkspace = try await session.client.call(
                .workspaceArchive,
                path: ["workspaceId": arguments.operands[0]],
                body: ArchiveWorkspace(
                    commit: arguments.has("commit") ? true : nil,
                    force: arguments.has("force") ? true : nil
                )
            )
            for warning in archived.warnings { session.say("! " + warning) }
            try session.print(archived) {
                "\(archived.workspace.name) is archived"
                    + (archived.commit.map { "; what was left over is commit \($0.prefix(12))" } ?? "") + "\n"
            }
            return 0
        }
    }

    private static let unarchive = Command(
        path: ["ws", "unarchive"],
        summary: "Make the working tree of an archived workspace again.",
        operands: [workspace],
        options: [
            .flag("setup", "Run the set-up script also in a working tree in place, which was never removed."),
            .flag("detach", short: "d", "Return at once; the set-up goes on."),
        ],
        examples: [Example(line: "berth ws unarchive login", about: "With its branches and stashes")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let workspace: Workspace = try await session.client.call(
                .workspaceUnarchive,
                path: ["workspaceId": arguments.operands[0]],
                query: arguments.has("setup") ? [("setup", "true")] : []
            )
            return try await session.followSetup(workspace, isDetached: arguments.has("detach"))
        }
    }

    private static let delete = Command(
        path: ["ws", "delete"],
        summary: "Forget an archived workspace, with the branches that were kept of it.",
        operands: [workspace],
        examples: [Example(line: "berth ws delete login", about: "For good")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let workspace: Workspace = try await session.client.call(
                .workspaceDelete,
                path: ["workspaceId": arguments.operands[0]]
            )
            try session.print(workspace) { "\(workspace.name) is forgotten\n" }
            return 0
        }
    }

    private static let repositories = Command(
        path: ["repo", "ls"],
        summary: "List repositories.",
        examples: [Example(line: "berth repo ls", about: "Recorded repositories")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<Repository> = try await session.client.call(.repositoryList)
            try session.print(page) {
                var table = Table(header: ["ID", "NAME", "DEFAULT BRANCH", "URL"])
                for repository in page.items {
                    table.rows.append([
                        repository.id.text, repository.name, repository.defaultBranch ?? "-", repository.url,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }
}
