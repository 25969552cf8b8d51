import API
import Base
import Client
import Domain

/// `ws editor`: links that open a workspace in editors with SSH remotes.
enum WorkspaceEditorCommand {
    /// Editors that know hosts of ssh_config(5), and their links.
    enum Editor: String, CaseIterable {
        case vscode, cursor, windsurf, zed

        func link(host: String, directory: String) -> String {
            let path = directory.split(separator: "/").map { PercentEncoding.encode(String($0)) }.joined(separator: "/")
            return switch self {
            case .vscode, .cursor, .windsurf: "\(rawValue)://vscode-remote/ssh-remote+\(host)/\(path)"
            case .zed: "zed://ssh/\(host)/\(path)"
            }
        }
    }

    private struct Link: Encodable {
        var editor: String
        var url: String
    }

    static let command = Command(
        path: ["ws", "editor"],
        summary: "Print links that open a workspace in an editor on this machine, over SSH.",
        operands: [WorkspaceCommands.workspace],
        options: [
            .value("editor", "NAME", "Only this one's.", choices: Editor.allCases.map(\.rawValue))
        ],
        examples: [
            Example(line: "berth ws editor fix-login", about: "For every editor that is known"),
            Example(line: "xdg-open $(berth ws editor fix-login --editor vscode)", about: "Opens it"),
        ],
        discussion: "The editor has to know the environment's name: 'berth config-ssh' tells OpenSSH of it, once."
    ) { arguments, terminal in
        let names = Editor.allCases.map(\.rawValue)
        let wanted = try arguments.choice("editor", of: names).flatMap { Editor(rawValue: $0) }
        return try await ServerSession.with(arguments, terminal) { session in
            let id = try await session.workspace(arguments.operands[0] as String)
            let workspace: Workspace = try await session.client.call(.workspaceGet, path: ["workspaceId": id])
            guard let environment = workspace.environmentId, let directory = workspace.directory else {
                throw BerthError(
                    .illegalTransition,
                    "\(workspace.name) has no checkout yet",
                    remedy: "see 'berth ws show \(workspace.name)'"
                )
            }
            let access: SSHAccess = try await session.client.call(
                .sshPrepare,
                path: ["environmentId": environment.text]
            )
            let place = directory.hasPrefix("/") ? directory : "\(access.workspaceRoot ?? "/workspace")/\(directory)"
            let links = (wanted.map { [$0] } ?? Editor.allCases).map { editor in
                Link(
                    editor: editor.rawValue,
                    url: editor.link(host: access.name + SSHOptions.suffix, directory: place)
                )
            }
            try session.print(links) {
                if wanted != nil { return links.map { $0.url + "\n" }.joined() }
                var table = Table(header: ["EDITOR", "LINK"])
                for link in links { table.rows.append([link.editor, link.url]) }
                return terminal.text(table)
            }
            return 0
        }
    }
}
