import API
import Base
import Client
import Domain

/// `ws refresh`, `ws sync`.
enum WorkspaceSyncCommands {
    static let all = [refresh, sync]

    private static let refresh = Command(
        path: ["ws", "refresh"],
        summary: "Look at a workspace's git remote now, and take its commits where nothing is in the way.",
        operands: [WorkspaceCommands.workspace],
        examples: [Example(line: "berth ws refresh login", about: "What it does by itself every five minutes")],
        discussion: """
            A branch is moved only forward, and no changed file is touched: what cannot be taken is told with the reason
            and the way out. Exits with 0 where nothing is left to do by hand, else with 73.
            """
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let workspace: Workspace = try await session.client.call(
                .workspaceSync,
                path: ["workspaceId": arguments.operands[0]]
            )
            guard let report = workspace.sync else { return ErrorCode.internal.exitStatus }
            try session.print(report) { WorkspaceSyncCommands.text(workspace.name, report) }
            return report.state.needsAttention ? ErrorCode.conflict.exitStatus : 0
        }
    }

    private static let sync = Command(
        path: ["ws", "sync"],
        summary: "Bring your own checkout on this machine forward to what its remote has.",
        operands: [Operand(name: "PATH", count: .optional, about: "a working tree of git; default: this directory")],
        examples: [Example(line: "berth ws sync", about: "After an agent pushed to the branch")],
        discussion: """
            Fetches with your own git and login, then moves the branch forward where it is behind and nothing is changed.
            Nothing is ever discarded. Exits with 0 where nothing is left to do by hand, else with 73.
            """
    ) { arguments, terminal in
        let repository = try LocalRepository(
            arguments.operands.first ?? ".",
            field: "PATH",
            environment: terminal.environment
        )
        let report = try LocalSync(repository).run()
        if arguments.has("json") {
            terminal.writeBytes(try JSONBody.encode(report, pretty: true) + Array("\n".utf8), toError: false)
        } else {
            terminal.write(text(repository.path, report))
        }
        return report.state.needsAttention ? ErrorCode.conflict.exitStatus : 0
    }

    static func text(_ name: String, _ report: SyncReport) -> String {
        var text = "\(name): \(report.state.rawValue)\(WorkspaceText.distance(report))\n"
        if let message = report.message { text += "  \(message)\n" }
        if let remedy = report.remedy { text += "  → \(remedy)\n" }
        return text
    }
}
