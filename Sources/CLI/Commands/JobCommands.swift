import API
import Base
import Client
import Domain

/// `jobs …`.
enum JobCommands {
    static let all = [list, show, retry]
    private static let id = Operand(name: "JOB", count: .one, about: "id of a job, job_…")

    private static let list = Command(
        path: ["jobs", "ls"],
        summary: "List the server's durable work on environments, newest first.",
        options: [
            .value("queue", "QUEUE", "Only those of this queue.", choices: ["vm-provision", "vm-control"]),
            .value("status", "STATE", "Only those in this state.", choices: states),
            .value("environment", short: "e", "ID", "Only those of this environment."),
            .value("limit", "N", "How many, 1 to 200; default 20."),
        ],
        examples: [
            Example(line: "berth jobs ls", about: "What was done last, and what waits"),
            Example(line: "berth jobs ls --status failed --json", about: "What needs a person, for a program"),
        ]
    ) { arguments, terminal in
        var query = [("limit", "\(try arguments.integer("limit", in: 1...200) ?? 20)")]
        if let queue = try arguments.choice("queue", of: ["vm-provision", "vm-control"]) {
            query.append(("queue", queue))
        }
        if let state = try arguments.choice("status", of: states) { query.append(("status", state)) }
        if let environment = arguments.text("environment") { query.append(("environment", environment)) }
        return try await ServerSession.with(arguments, terminal) { [query] session in
            let page: Page<Job> = try await session.client.call(.jobList, query: query)
            try session.print(page) {
                var table = Table(header: ["ID", "QUEUE", "ACTION", "STATUS", "TRIES", "AGE", "ENVIRONMENT", "BECAUSE"])
                for job in page.items {
                    table.rows.append([
                        job.id.text, job.queue, job.action, job.status, "\(job.failures)/\(job.maximumAttempts)",
                        terminal.age(job.createdAt), job.environmentId, job.failure?.message ?? "",
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let states = ["queued", "active", "completed", "failed"]

    private static let show = Command(
        path: ["jobs", "show"],
        summary: "Show a job with every turn that it had.",
        operands: [id],
        examples: [
            Example(line: "berth jobs show job_01jd0000000000000000000000", about: "Who ran it, and what came of it")
        ]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let job: Job = try await session.client.call(.jobGet, path: ["jobId": arguments.operands[0]])
            try session.print(job) { text(job, terminal) }
            return 0
        }
    }

    private static let retry = Command(
        path: ["jobs", "retry"],
        summary: "Try again what a failed job was to do.",
        operands: [id],
        examples: [Example(line: "berth jobs retry job_01jd0000000000000000000000", about: "A new job does it")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let job: Job = try await session.client.call(.jobRetry, path: ["jobId": arguments.operands[0]])
            try session.print(job) { "\(job.id): \(job.action) of \(job.environmentId) is \(job.status)\n" }
            return 0
        }
    }

    private static func text(_ job: Job, _ terminal: Terminal) -> String {
        let facts: [(String, String?)] = [
            ("status", job.status), ("because", job.failure?.message), ("remedy", job.failure?.remedy),
            ("queue", job.queue), ("environment", job.environmentId),
            ("tries", "\(job.failures) of \(job.maximumAttempts) failed"), ("requests", "\(job.requests)"),
            ("server", job.serverId?.text), ("created", job.createdAt.description), ("next", job.nextAt?.description),
            ("ended", job.endedAt?.description),
        ]
        var text = terminal.style.bold("\(job.action) (\(job.id))") + "\n"
        for (name, value) in facts { if let value { text += "  \(name.padded(to: 12)) \(value)\n" } }
        var table = Table(header: ["TURN", "STARTED", "TOOK", "OUTCOME", "SERVER", "BECAUSE"])
        for turn in job.attempts ?? [] {
            let took = turn.endedAt.map { DurationText.text(milliseconds: ($0 - turn.startedAt).wholeMilliseconds) }
            table.rows.append([
                "\(turn.attempt)", turn.startedAt.description, took ?? "-", turn.outcome ?? "runs", turn.serverId.text,
                turn.message ?? "",
            ])
        }
        return text + (table.rows.isEmpty ? "" : "\n" + terminal.text(table))
    }
}
