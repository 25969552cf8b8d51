import API
import Base
import Client

/// `berth status`: whether a server answers, and what it does.
enum StatusCommand {
    private struct Status: Encodable {
        var url: String
        var version: String
        var running: Int
        var queued: Int
        var environments: [String: Int]
        /// What the server says of its surroundings, by name: `ok`, `held`, or what is wrong.
        var checks: [String: String]
    }

    static let command = Command(
        path: ["status"],
        summary: "Say whether a server answers and what it does.",
        examples: [
            Example(line: "berth status", about: "Of the server on this machine"),
            Example(line: "berth status --server http://127.0.0.1:7410 --json", about: "Of one by address"),
        ]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let version: Version = try await session.client.call(.version)
            let health: Health = try await session.client.call(.ready)
            let counts: CompatibilityStatus = try await session.client.call(.compatibilityStatus)
            let environments: Page<API.Environment> = try await session.client.call(
                .environmentList,
                query: [("limit", "200")]
            )
            let status = Status(
                url: session.client.url,
                version: version.version,
                running: counts.queue.running,
                queued: counts.queue.queued,
                environments: Dictionary(grouping: environments.items, by: \.status).mapValues(\.count),
                checks: health.checks ?? [:]
            )
            try session.print(status) {
                var text = "berth \(status.version) on \(status.url)\n"
                text += "  executions    \(status.running) running, \(status.queued) queued\n"
                let states = status.environments.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
                text += "  environments  \(states.isEmpty ? "none" : states.joined(separator: ", "))\n"
                if status.checks["disk"] == "full" {
                    text += "  disk          full: nothing new is taken; what runs goes on, and its end is told when "
                    text += "there is room\n"
                }
                return text
            }
            return 0
        }
    }
}
