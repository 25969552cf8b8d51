import API
import Base
import Client
import Domain

/// `ls`, `show`, `logs`, `cancel`.
enum ExecutionCommands {
    static let all = [list, show, logs, cancel]
    private static let id = Operand(name: "EXECUTION", count: .one, about: "id of an execution, exec_…")

    private static let list = Command(
        path: ["ls"],
        summary: "List executions, newest first.",
        options: [
            .value("status", "STATE", "Only those in this state.", choices: ExecutionStatus.known.map(\.rawValue)),
            .value("limit", "N", "How many, 1 to 200; default 20."),
        ],
        examples: [
            Example(line: "berth ls", about: "The last executions"),
            Example(line: "berth ls --status running --json", about: "What runs now, for a program"),
        ]
    ) { arguments, terminal in
        var query = [("limit", "\(try arguments.integer("limit", in: 1...200) ?? 20)")]
        if let status = try arguments.choice("status", of: ExecutionStatus.known.map(\.rawValue)) {
            query.append(("status", status))
        }
        return try await ServerSession.with(arguments, terminal) { [query] session in
            let page: Page<Execution> = try await session.client.call(.executionList, query: query)
            try session.print(page) {
                var table = Table(header: ["ID", "STATUS", "AGENT", "AGE", "TOOK", "TITLE"])
                for execution in page.items {
                    table.rows.append([
                        execution.id.text, execution.status.rawValue, execution.agent.rawValue,
                        terminal.age(execution.createdAt),
                        execution.durationMs.map { DurationText.text(milliseconds: $0) } ?? "-",
                        execution.title,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let show = Command(
        path: ["show"],
        summary: "Show one execution.",
        operands: [id],
        examples: [Example(line: "berth show exec_01jd0000000000000000000000", about: "Its state, end and figures")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let execution: Execution = try await session.client.call(
                .executionGet,
                path: ["executionId": arguments.operands[0]]
            )
            let attempts: Page<ExecutionAttempt> = try await session.client.call(
                .executionAttempts,
                path: ["executionId": execution.id.text]
            )
            try session.print(execution) {
                var text = OutcomeText.text(execution, style: terminal.style)
                let facts: [(String, String?)] = [
                    ("title", execution.title), ("agent", execution.agent.rawValue),
                    ("environment", execution.environmentId?.text), ("workspace", execution.workspaceId?.text),
                    (
                        "branch",
                        execution.report?.workspace?.bundle.map { _ in "get it with: berth fetch \(execution.id)" }
                    ),
                    ("attempt", "\(execution.attempt)"), ("retry of", execution.retryOf?.text),
                    ("next attempt", execution.notBefore?.description), ("created", execution.createdAt.description),
                    ("started", execution.startedAt?.description), ("ended", execution.endedAt?.description),
                ]
                for (name, value) in facts { if let value { text += "  \(name.padded(to: 12)) \(value)\n" } }
                return text + (attempts.items.count > 1 ? terminal.text(AttemptTable.table(attempts.items)) : "")
            }
            return 0
        }
    }

    private static let logs = Command(
        path: ["logs"],
        summary: "Show the output of an execution.",
        operands: [id],
        options: [
            .flag("follow", short: "f", "Go on until it has ended, through restarts of the server."),
            .flag("raw", "The agent's bytes as they are, not in readable form."),
        ],
        examples: [
            Example(line: "berth logs -f exec_01jd0000000000000000000000", about: "Watch what it does"),
            Example(line: "berth logs --raw exec_01jd0000000000000000000000 > out", about: "Its exact standard output"),
        ]
    ) { arguments, terminal in
        let id = try ExecutionID(arguments.operands[0])
        return try await ServerSession.with(arguments, terminal) { session in
            let execution: Execution = try await session.client.call(.executionGet, path: ["executionId": id.text])
            let isAgent = execution.agent == .claude && !arguments.has("raw")
            if arguments.has("follow") {
                return try await session.follow(id, as: isAgent ? .agent : .raw, cancelsOnInterrupt: false)
            }
            try await session.showStored(execution, as: isAgent ? .agent : .raw)
            return 0
        }
    }

    private static let cancel = Command(
        path: ["cancel"],
        summary: "Cancel an execution; its whole process tree ends.",
        operands: [id],
        examples: [Example(line: "berth cancel exec_01jd0000000000000000000000", about: "Stop it")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let execution: Execution = try await session.client.call(
                .executionCancel,
                path: ["executionId": arguments.operands[0]]
            )
            try session.print(execution) {
                execution.status.hasEnded
                    ? "\(execution.id) has ended: \(execution.status)\n" : "\(execution.id) is being cancelled\n"
            }
            return 0
        }
    }
}
