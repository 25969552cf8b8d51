import API
import Base
import Client

/// `key …`.
enum KeyCommands {
    static let all = [create, list, revoke]

    private static let create = Command(
        path: ["key", "create"],
        summary: "Make an API key and print it, this once.",
        operands: [Operand(name: "NAME", count: .one, about: "what it is for")],
        options: [.value("kind", "KIND", "personal or team; default personal.", choices: ["personal", "team"])],
        examples: [Example(line: "berth key create ci > ci.key", about: "Only the key is on standard output")]
    ) { arguments, terminal in
        let request = CreateAPIKey(
            name: arguments.operands[0],
            kind: try arguments.choice("kind", of: ["personal", "team"])
        )
        return try await ServerSession.with(arguments, terminal) { session in
            let made: CreatedAPIKey = try await session.client.call(.keyCreate, body: request)
            try session.print(made) { made.token + "\n" }
            return 0
        }
    }

    private static let list = Command(
        path: ["key", "ls"],
        summary: "List API keys; never their texts.",
        examples: [Example(line: "berth key ls", about: "When each was last used")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<APIKeyView> = try await session.client.call(.keyList)
            try session.print(page) {
                var table = Table(header: ["ID", "NAME", "ENDING", "STATE", "LAST USED"])
                for key in page.items {
                    table.rows.append([
                        key.id.text, key.name, "…" + key.ending, key.revokedAt == nil ? "good" : "revoked",
                        key.lastUsedAt.map { "\(terminal.age($0)) ago" } ?? "-",
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let revoke = Command(
        path: ["key", "revoke"],
        summary: "End an API key at once.",
        operands: [Operand(name: "KEY", count: .one, about: "id of a key, key_…")],
        examples: [Example(line: "berth key revoke key_01jd0000000000000000000000", about: "It opens nothing any more")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let key: APIKeyView = try await session.client.call(.keyRevoke, path: ["keyId": arguments.operands[0]])
            try session.print(key) { "\(key.name) (\(key.id)) is revoked\n" }
            return 0
        }
    }
}
