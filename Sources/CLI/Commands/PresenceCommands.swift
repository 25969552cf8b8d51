import API
import Base
import Client
import Domain

/// `ws who`: who is connected.
enum PresenceCommands {
    static let all = [
        Command(
            path: ["ws", "who"],
            summary: "Show who is connected to a workspace, and from what.",
            operands: [FileCommands.workspace],
            examples: [Example(line: "berth ws who fix-login", about: "Clients that were heard within the last minute")]
        ) { arguments, terminal in
            try await ServerSession.with(arguments, terminal) { session in
                let page: Page<Presence> = try await session.client.call(
                    .presenceList,
                    path: ["workspaceId": try await session.workspace(arguments.operands[0])]
                )
                try session.print(page) {
                    var table = Table(header: ["WHO", "CLIENT", "SINCE", "HEARD", "ID"])
                    for item in page.items {
                        table.rows.append([
                            item.userName, item.clientType, terminal.age(item.connectedAt),
                            terminal.age(item.lastHeartbeatAt), item.id,
                        ])
                    }
                    return terminal.text(table)
                }
                return 0
            }
        }
    ]
}
