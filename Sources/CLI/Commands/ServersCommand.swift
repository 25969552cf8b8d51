import API
import Base
import Client

/// `berth servers`: which servers share the database, and what each of them holds.
enum ServersCommand {
    static let command = Command(
        path: ["servers"],
        summary: "List the servers that share the database, with their leases and what they hold.",
        examples: [
            Example(line: "berth servers", about: "Who lives, and how long ago each one said so"),
            Example(line: "berth servers --json", about: "For a program"),
        ]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<ServerView> = try await session.client.call(.serverList)
            try session.print(page) {
                var table = Table(
                    header: ["ID", "STATUS", "VERSION", "UP", "LEASE", "WORKERS", "RUNS", "ENVIRONMENTS", "ADDRESS"]
                )
                for server in page.items {
                    let isLiving = server.status == "living"
                    let age = DurationText.text(milliseconds: server.leaseAgeMs)
                    table.rows.append([
                        server.id.text + (server.isThis ? " (this one)" : ""), server.status, server.version,
                        isLiving ? terminal.age(server.startedAt) : "-", isLiving ? "renewed \(age) ago" : "-",
                        "\(server.workers)", "\(server.executions)", "\(server.environments)", server.address ?? "-",
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }
}
