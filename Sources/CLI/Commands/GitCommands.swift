import API
import Base
import Client
import Domain
import WorkspaceTypes

/// `git …`: git in the checkout of a workspace.
enum GitCommands {
    static let all = [status, diff, log, commit, branches, branch, change, push, pull]

    private static let workspace = FileCommands.workspace
    private static let status = Command(
        path: ["git", "status"],
        summary: "Show the branch of a workspace and what differs from its last commit.",
        operands: [workspace],
        examples: [Example(line: "berth git status fix-login", about: "Staged, not staged, new, in conflict")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let status: GitStatus = try await session.client.call(
                .gitStatus,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])]
            )
            try session.print(status) { GitText.text(status, style: terminal.style) }
            return 0
        }
    }

    private static let diff = Command(
        path: ["git", "diff"],
        summary: "Show a difference in a workspace.",
        operands: [
            workspace, Operand(name: "PATH", count: .optional, about: "only this file, or below this directory"),
        ],
        options: [
            .flag("staged", "The index against the last commit."),
            .flag("head", "The files against the last commit."),
            .value("base", "REF", "The files against where the branch left REF; '.' the remote's default branch."),
            .flag("stat", "Only which files, and how many lines."),
        ],
        examples: [
            Example(line: "berth git diff fix-login", about: "The files against the index"),
            Example(line: "berth git diff fix-login --base main --stat", about: "All of the branch, in short"),
        ]
    ) { arguments, terminal in
        var query: [(String, String)] = [("maxPatchBytes", "\(8 << 20)")]
        if arguments.has("staged") { query.append(("scope", "staged")) }
        if arguments.has("head") { query.append(("scope", "head")) }
        if let base = arguments.text("base") {
            query.append(("scope", "base"))
            if base != "." { query.append(("base", base)) }
        }
        guard query.count(where: { $0.0 == "scope" }) < 2 else {
            throw BerthError(.usage, "--staged, --head and --base exclude each other")
        }
        if let path = arguments.operands.dropFirst().first { query.append(("path", path)) }
        if arguments.has("stat") { query.append(("patches", "false")) }
        let wanted = query
        return try await ServerSession.with(arguments, terminal) { session in
            let diff: GitDiff = try await session.client.call(
                .gitDiff,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                query: wanted
            )
            try session.print(diff) {
                arguments.has("stat")
                    ? terminal.text(GitText.table(diff)) : GitText.patches(diff, style: terminal.style)
            }
            if diff.isTruncated { session.say("not everything is shown; name a PATH") }
            return 0
        }
    }

    private static let log = Command(
        path: ["git", "log"],
        summary: "List the commits of a workspace, newest first.",
        operands: [workspace, Operand(name: "REF", count: .optional, about: "branch, tag, commit or range")],
        options: [
            .value("limit", "N", "How many, 1 to 1000; default 50."), .value("path", "PATH", "Only of this path."),
        ],
        examples: [Example(line: "berth git log fix-login origin/main..", about: "Commits of the branch alone")]
    ) { arguments, terminal in
        let limit = try arguments.integer("limit", in: 1...1000) ?? 50
        return try await ServerSession.with(arguments, terminal) { session in
            var query = [("limit", "\(limit)")]
            if let reference = arguments.operands.dropFirst().first { query.append(("reference", reference)) }
            if let path = arguments.text("path") { query.append(("path", path)) }
            let log: GitLog = try await session.client.call(
                .gitLog,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                query: query
            )
            try session.print(log) {
                var table = Table(header: ["COMMIT", "DATE", "AUTHOR", "SUBJECT"])
                for item in log.items {
                    table.rows.append([
                        String(item.id.prefix(10)), String(item.authoredAt.prefix(16)), item.authorName, item.subject,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let commit = Command(
        path: ["git", "commit"],
        summary: "Commit in a workspace what is staged, some paths, or everything.",
        operands: [workspace, Operand(name: "PATH", count: .any, about: "these alone")],
        options: [
            .value("message", short: "m", "TEXT", "The message; default standard input."),
            .flag("all", short: "a", "Every change, new files too."), .flag("amend", "Into the last commit."),
            .flag("no-hooks", "Do not run the repository's hooks."),
        ],
        examples: [Example(line: "berth git commit fix-login --all -m 'Refuse empty names'", about: "All changes")]
    ) { arguments, terminal in
        let message = try arguments.text("message") ?? Input.standardInput(for: "the message")
        let paths = Array(arguments.operands.dropFirst())
        return try await ServerSession.with(arguments, terminal) { session in
            let commit: GitCommit = try await session.client.call(
                .gitCommit,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                body: CommitChanges(
                    message: message,
                    all: arguments.has("all") ? true : nil,
                    paths: paths.isEmpty ? nil : paths,
                    amend: arguments.has("amend") ? true : nil,
                    hooks: arguments.has("no-hooks") ? false : nil
                )
            )
            try session.print(commit) { "\(commit.id.prefix(10)) \(commit.subject)\n" }
            return 0
        }
    }

    private static let branches = Command(
        path: ["git", "branches"],
        summary: "List the branches of a workspace, newest first.",
        operands: [workspace],
        examples: [Example(line: "berth git branches fix-login", about: "Its own and the remote's as last fetched")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let branches: GitBranches = try await session.client.call(
                .gitBranchList,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])]
            )
            try session.print(branches) {
                var table = Table(header: ["", "BRANCH", "COMMIT", "FOLLOWS", "SUBJECT"])
                for item in branches.items {
                    table.rows.append([
                        item.isCurrent ? "*" : item.checkedOutAt == nil ? "" : "+", item.name,
                        String(item.commit.prefix(10)), item.upstream ?? "-", item.subject,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let branch = Command(
        path: ["git", "branch"],
        summary: "Make a branch in a workspace and leave the files as they are.",
        operands: [
            workspace, Operand(name: "NAME", count: .one, about: "of the new branch"),
            Operand(name: "FROM", count: .optional, about: "branch, tag or commit; default what is checked out"),
        ],
        examples: [Example(line: "berth git branch fix-login backup", about: "Where the workspace stands")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let status: GitStatus = try await session.client.call(
                .gitBranchCreate,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                body: CreateBranch(name: arguments.operands[1], from: arguments.operands.dropFirst(2).first)
            )
            try session.print(status) { "made \(arguments.operands[1])\n" }
            return 0
        }
    }

    private static let change = Command(
        path: ["git", "switch"],
        summary: "Check out another branch in a workspace.",
        operands: [workspace, Operand(name: "BRANCH", count: .one, about: "its name")],
        options: [
            .flag("create", short: "c", "Make it first."), .value("from", "REF", "Where a new one begins."),
        ],
        examples: [Example(line: "berth git switch fix-login main", about: "What is not committed stays, or refuses")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let status: GitStatus = try await session.client.call(
                .gitSwitch,
                path: ["workspaceId": try await session.workspace(arguments.operands[0])],
                body: SwitchBranch(
                    branch: arguments.operands[1],
                    create: arguments.has("create") ? true : nil,
                    from: arguments.text("from")
                )
            )
            try session.print(status) { GitText.text(status, style: terminal.style) }
            return 0
        }
    }

    private static let push = Command(
        path: ["git", "push"],
        summary: "Push what is checked out in a workspace.",
        operands: [workspace],
        options: [.value("branch", "NAME", "What it is called at the remote; default as here.")]
            + SharedOptions.remoteLogin,
        examples: [
            Example(line: "berth git push fix-login --git-secret GITHUB_TOKEN", about: "With a token of this shell")
        ]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let (id, url) = try await session.remote(of: arguments.operands[0])
            let push: GitPush = try await session.client.call(
                .gitPush,
                path: ["workspaceId": id],
                body: PushBranch(
                    branch: arguments.text("branch"),
                    gitCredentials: try Input.gitLogin(arguments, url: url, terminal: terminal).map { [$0] },
                    ssh: try Input.sshLogin(arguments, url: url)
                )
            )
            try session.print(push) { "\(push.branch) is \(push.commit.prefix(10)) at \(url)\n" }
            return 0
        }
    }

    private static let pull = Command(
        path: ["git", "pull"],
        summary: "Bring the remote's branch into a workspace; nothing is discarded.",
        operands: [workspace],
        options: [
            .value("branch", "NAME", "Of the remote; default the one that is followed, or of the same name."),
            .flag("keep-conflicts", "Leave a merge that does not work out in the checkout, to be resolved there."),
        ] + SharedOptions.remoteLogin,
        examples: [Example(line: "berth git pull fix-login", about: "Forward, or by a merge; conflicts are named")],
        discussion: "Exits with 73 when a conflict, or what is not committed, stands in the way."
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let (id, url) = try await session.remote(of: arguments.operands[0])
            let pull: GitPull = try await session.client.call(
                .gitPull,
                path: ["workspaceId": id],
                body: PullBranch(
                    branch: arguments.text("branch"),
                    keepConflicts: arguments.has("keep-conflicts") ? true : nil,
                    gitCredentials: try Input.gitLogin(arguments, url: url, terminal: terminal).map { [$0] },
                    ssh: try Input.sshLogin(arguments, url: url)
                )
            )
            try session.print(pull) { GitText.text(pull) }
            return [.conflict, .dirty].contains(pull.result) ? ErrorCode.conflict.exitStatus : 0
        }
    }
}

extension ServerSession {
    /// A workspace's id and its remote's URL.
    fileprivate func remote(of name: String) async throws -> (id: String, url: String) {
        let id = try await workspace(name)
        let workspace: Workspace = try await client.call(.workspaceGet, path: ["workspaceId": id])
        guard let repositoryId = workspace.repositoryId else {
            throw BerthError(.unsupported, "the workspace has no repository", field: "WORKSPACE")
        }
        let repository: Repository = try await client.call(.repositoryGet, path: ["repositoryId": repositoryId.text])
        return (id, repository.url)
    }
}
