import API
import Base
import Client
import Domain

/// `ws …`, `repo …`.
enum WorkspaceCommands {
    static let all = [list, show, repositories]

    private static let list = Command(
        path: ["ws", "ls"],
        summary: "List workspaces, newest first.",
        examples: [Example(line: "berth ws ls", about: "Checkouts of your runs")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<Workspace> = try await session.client.call(.workspaceList)
            try session.print(page) {
                var table = Table(header: ["ID", "STATUS", "AGE", "BRANCH"])
                for workspace in page.items {
                    table.rows.append([
                        workspace.id.text, workspace.status.rawValue, terminal.age(workspace.createdAt),
                        workspace.branch,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let show = Command(
        path: ["ws", "show"],
        summary: "Show a workspace and what its last run left.",
        operands: [Operand(name: "WORKSPACE", count: .one, about: "id of a workspace, ws_…")],
        examples: [Example(line: "berth ws show ws_01jd0000000000000000000000", about: "Branch, commits, changes")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let workspace: Workspace = try await session.client.call(
                .workspaceGet,
                path: ["workspaceId": arguments.operands[0]]
            )
            try session.print(workspace) {
                var text = terminal.style.bold(workspace.name) + "\n"
                text += "  status       \(workspace.status.rawValue)\n  branch       \(workspace.branch)\n"
                if let id = workspace.environmentId { text += "  environment  \(id)\n" }
                for commit in workspace.outcome?.commits ?? [] {
                    text += "  \(commit.id.prefix(9)) \(commit.subject)\n"
                }
                if let files = workspace.outcome?.files, !files.isEmpty {
                    text += "  " + OutcomeText.statistics(files, style: terminal.style) + "\n"
                }
                return text
            }
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
