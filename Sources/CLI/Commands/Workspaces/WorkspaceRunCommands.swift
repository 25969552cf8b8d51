import API
import Base
import Client
import Domain
import EventLoop

/// `ws run`, `ws stop`, `ws open`, `ws import-config`.
enum WorkspaceRunCommands {
    static let all = [run, stop, open, importConfiguration]

    private static let run = Command(
        path: ["ws", "run"],
        summary: "Start the run script of a workspace, or show how it stands.",
        operands: [
            WorkspaceCommands.workspace,
            Operand(name: "COMMAND", count: .any, about: "in place of the repository's own script, behind `--`"),
        ],
        options: [.flag("status", "Only show how it stands.")],
        examples: [
            Example(line: "berth ws run login", about: "The script of its berth.json"),
            Example(line: "berth ws run login --status", about: "Its state and its ports"),
            Example(
                line: "berth ws run login -- python3 -m http.server {port}",
                about: "Another program, on a free port"
            ),
        ],
        discussion: """
            It runs on a terminal of its own and outlives server and worker; look at it with 'berth terminal attach', reach
            its port with 'berth ws open'.
            """
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let path = ["workspaceId": arguments.operands[0]]
            let words = arguments.operands.dropFirst()
            var status: RunScriptStatus
            if arguments.has("status") {
                status = try await session.client.call(.workspaceRun, path: path)
            } else {
                let command =
                    words.isEmpty
                    ? nil : words.count == 1 ? words.first : words.map(Launch.quoted).joined(separator: " ")
                status = try await session.client.call(
                    .workspaceRunStart,
                    path: path,
                    body: StartRunScript(command: command)
                )
                status = try await session.settled(status, path)
            }
            try session.print(status) { text(status) }
            return status.state == .failed ? 1 : 0
        }
    }

    private static let stop = Command(
        path: ["ws", "stop"],
        summary: "Stop the run script of a workspace and all that it started.",
        operands: [WorkspaceCommands.workspace],
        examples: [Example(line: "berth ws stop login", about: "SIGTERM, after 5 s SIGKILL")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let status: RunScriptStatus = try await session.client.call(
                .workspaceRunStop,
                path: ["workspaceId": arguments.operands[0]]
            )
            try session.print(status) { text(status) }
            return 0
        }
    }

    private static let open = Command(
        path: ["ws", "open"],
        summary: "Reach what a workspace serves from this machine, or open it in an editor.",
        operands: [WorkspaceCommands.workspace],
        options: [
            .value("port", "PORT", "Of the environment; default: the run script's."),
            .value("local", "PORT", "Of this machine; default: a free one."),
            .value(
                "editor",
                "NAME",
                "Print the link that opens it in an editor, over SSH.",
                choices: EditorLink.editors
            ),
        ],
        examples: [
            Example(line: "berth ws open login", about: "Prints the URL and forwards until Ctrl-C"),
            Example(line: "berth ws open login --editor vscode", about: "vscode://…; after 'berth config-ssh'"),
        ]
    ) { arguments, terminal in
        let port = try arguments.integer("port", in: 1...65535)
        let local = try arguments.integer("local", in: 0...65535)
        let editor = try arguments.choice("editor", of: EditorLink.editors)
        return try await ServerSession.with(arguments, terminal) { session in
            let path = ["workspaceId": arguments.operands[0]]
            let workspace: Workspace = try await session.client.call(.workspaceGet, path: path)
            guard let id = workspace.environmentId else {
                throw BerthError(.notFound, "the workspace has no environment")
            }
            let environment: API.Environment = try await session.client.call(
                .environmentGet,
                path: ["environmentId": id.text]
            )
            if let editor {
                let files: WorkspaceConfigurationFiles = try await session.client.call(
                    .workspaceConfiguration,
                    path: path
                )
                let link = EditorLink(editor: editor, environment: environment.name, path: files.path)
                try session.print(["url": link.url]) { link.url + "\n" }
                return 0
            }
            var wanted = port
            if wanted == nil {
                let status: RunScriptStatus = try await session.client.call(.workspaceRun, path: path)
                guard let first = status.ports.first else {
                    throw BerthError(
                        .notFound,
                        "the run script is \(status.state.rawValue) and listens on no port",
                        remedy: "start it with 'berth ws run \(workspace.name)', or name a port with --port"
                    )
                }
                wanted = first
            }
            let pair = try PortPair("\(local ?? 0):\(wanted ?? 0)")
            return try await session.forward(environment, [pair], scheme: "http://")
        }
    }

    private static let importConfiguration = Command(
        path: ["ws", "import-config"],
        summary: "Show what a workspace goes by, and what the files of other tools would give.",
        operands: [WorkspaceCommands.workspace],
        examples: [Example(line: "berth ws import-config login", about: "Text for a berth.json of the repository")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let files: WorkspaceConfigurationFiles = try await session.client.call(
                .workspaceConfiguration,
                path: ["workspaceId": arguments.operands[0]]
            )
            try session.print(files) {
                var text = "goes by \(files.file ?? "nothing: there is no \(WorkspaceConfiguration.fileName)")\n"
                if let problem = files.problem { text += "  ! \(problem)\n" }
                for found in files.imports {
                    text += "\n\(found.file)\(found.isHint ? " (a hint)" : "")\n"
                    for note in found.notes { text += "  ! \(note)\n" }
                    let body = (try? JSONBody.encode(found.configuration, pretty: true)) ?? []
                    text += String(decoding: body, as: UTF8.self) + "\n"
                }
                return text
            }
            return 0
        }
    }

    private static func text(_ status: RunScriptStatus) -> String {
        var text = status.state.rawValue
        if !status.ports.isEmpty { text += " on port \(status.ports.map(String.init).joined(separator: ", "))" }
        if status.state == .failed {
            text += status.exitCode.map { ": exited \($0)" } ?? status.signal.map { ": signal \($0)" } ?? ""
        }
        text += "\n"
        if let command = status.command { text += "  \(command)\n" }
        if let id = status.terminalId { text += "  its output: berth terminal attach ENVIRONMENT \(id)\n" }
        return text
    }
}

extension ServerSession {
    /// Gives it a moment to listen, or to fail.
    fileprivate func settled(_ status: RunScriptStatus, _ path: [String: String]) async throws -> RunScriptStatus {
        var status = status
        let limit = terminal.loop.time.uptime + .seconds(3)
        while status.state == .starting, terminal.loop.time.uptime < limit {
            try await terminal.loop.time.wait(for: .milliseconds(200))
            status = try await client.call(.workspaceRun, path: path)
        }
        return status
    }
}

/// A link that opens a directory of an environment in an editor with SSH remotes; the host is the one that
/// `berth config-ssh` writes.
struct EditorLink: Sendable {
    static let editors = ["vscode", "vscode-insiders", "cursor", "windsurf", "zed", "jetbrains"]

    var editor: String
    var environment: String
    /// Absolute.
    var path: String

    var url: String {
        let host = environment + SSHOptions.suffix
        let encoded = path.split(separator: "/", omittingEmptySubsequences: false)
            .map { PercentEncoding.encode(String($0)) }.joined(separator: "/")
        return switch editor {
        case "zed": "zed://ssh/\(host)\(encoded)"
        case "jetbrains":
            "jetbrains-gateway://connect#host=\(host)&port=22&type=ssh&deploy=false&projectPath=\(encoded)"
        default: "\(editor)://vscode-remote/ssh-remote+\(host)\(encoded)"
        }
    }
}
