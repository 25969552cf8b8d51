import API
import Base
import Client
import Domain

/// `dlq …`.
enum DeadLetterCommands {
    static let all = [list, show, retry, drop]
    private static let id = Operand(name: "EXECUTION", count: .one, about: "id of a dead letter, exec_…")

    private static let list = Command(
        path: ["dlq", "ls"],
        summary: "List executions that were given up after repeated failures, newest first.",
        options: [.value("limit", "N", "How many, 1 to 200; default 50.")],
        examples: [Example(line: "berth dlq ls", about: "What waits for a decision, and why it failed")]
    ) { arguments, terminal in
        let limit = try arguments.integer("limit", in: 1...200) ?? 50
        return try await ServerSession.with(arguments, terminal) { session in
            let page: Page<DeadLetter> = try await session.client.call(.deadLetterList, query: [("limit", "\(limit)")])
            try session.print(page) {
                var table = Table(header: ["ID", "AGE", "FAILURES", "CODE", "RETRIED AS", "TITLE"])
                for letter in page.items {
                    table.rows.append([
                        letter.executionId.text, terminal.age(letter.deadLetteredAt), "\(letter.failures)",
                        letter.failure?.code.rawValue ?? "-", letter.retriedAs?.text ?? "-", letter.title,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let show = Command(
        path: ["dlq", "show"],
        summary: "Show a dead letter with every attempt and its reason.",
        operands: [id],
        examples: [Example(line: "berth dlq show exec_01jd0000000000000000000000", about: "Who had it, and why")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let letter: DeadLetter = try await session.client.call(
                .deadLetterGet,
                path: ["executionId": arguments.operands[0]]
            )
            try session.print(letter) {
                var text = "\(letter.executionId): given up after \(letter.failures) failures\n"
                let facts: [(String, String?)] = [
                    ("title", letter.title), ("reason", letter.failure?.message),
                    ("environment", letter.environmentId?.text), ("created", letter.createdAt.description),
                    ("given up", letter.deadLetteredAt.description), ("kept until", letter.expiresAt.description),
                    ("retried as", letter.retriedAs?.text),
                ]
                for (name, value) in facts { if let value { text += "  \(name.padded(to: 12)) \(value)\n" } }
                return text + terminal.text(AttemptTable.table(letter.attempts ?? []))
            }
            return 0
        }
    }

    private static let retry = Command(
        path: ["dlq", "retry"],
        summary: "Run a dead letter again, as a new execution that names it.",
        operands: [id],
        examples: [Example(line: "berth dlq retry exec_01jd0000000000000000000000", about: "Once per letter")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let execution: Execution = try await session.client.call(
                .deadLetterRetry,
                path: ["executionId": arguments.operands[0]]
            )
            try session.print(execution) { "\(execution.id)\n" }
            return 0
        }
    }

    private static let drop = Command(
        path: ["dlq", "drop"],
        summary: "Forget a dead letter and the secrets kept for its retry.",
        operands: [id],
        examples: [Example(line: "berth dlq drop exec_01jd0000000000000000000000", about: "'berth ls' keeps it")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let letter: DeadLetter = try await session.client.call(
                .deadLetterDrop,
                path: ["executionId": arguments.operands[0]]
            )
            try session.print(letter) { "\(letter.executionId) is dropped\n" }
            return 0
        }
    }
}
