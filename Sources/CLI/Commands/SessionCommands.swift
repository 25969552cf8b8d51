import API
import Base
import Client
import Domain
import EventLoop

/// `session …`: conversations with agents in workspaces.
enum SessionCommands {
    static let all =
        [start, send, attach, list, log] + SessionDeeds.all

    static let workspace = Operand(name: "WORKSPACE", count: .one, about: "id of a workspace, ws_…")
    static let session = Operand(name: "SESSION", count: .one, about: "its name or id, sess_…")

    static func path(_ arguments: ParsedArguments) -> [String: String] {
        ["workspaceId": arguments.operands[0], "sessionId": arguments.operands[1]]
    }

    private static let start = Command(
        path: ["session", "start"],
        summary: "Begin a conversation with an agent in a workspace, and attach to it.",
        operands: [
            workspace,
            Operand(name: "COMMAND", count: .any, about: "program and arguments, for --agent acp and command"),
        ],
        options: [
            .value(
                "agent",
                short: "a",
                "KIND",
                "Who answers; default claude.",
                choices: AgentKind.conversing.map(\.rawValue)
            ),
            .value("prompt", short: "p", "TEXT", "The first message; - reads it from standard input."),
            .value("name", "NAME", "What to call it; default the agent's name."),
            .value("workflow", "NAME", "What it is for, such as bugfix or explore; default feature."),
            .value("model", short: "m", "NAME", "Default the agent's own."),
            mode,
            .value("instructions", "FILE", "Text that is added to the agent's own instructions."),
            .value("request-timeout", "TIME", "How long a permission or a question waits; default 300s."),
            .flag("detach", short: "d", "Begin it and do not attach."),
        ],
        examples: [
            Example(line: "berth session start ws_… -p 'why is the test red?'", about: "A question for Claude"),
            Example(
                line: "berth session start ws_… -a codex --permission-mode acceptEdits",
                about: "Codex, editing freely"
            ),
            Example(line: "berth session start ws_… -a acp -- my-agent --stdio", about: "Another agent"),
        ],
        discussion: SessionScreen.keys
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { server in
            let command = Array(arguments.operands.dropFirst())
            var prompt = arguments.text("prompt")
            if prompt == "-" { prompt = try Input.standardInput(for: "the message") }
            let created: AgentSession = try await server.client.call(
                .agentSessionCreate,
                path: ["workspaceId": arguments.operands[0]],
                body: CreateAgentSession(
                    name: arguments.text("name"),
                    agent: arguments.text("agent").map { AgentKind(rawValue: $0) },
                    workflow: arguments.text("workflow"),
                    command: command.isEmpty ? nil : command,
                    instructions: try arguments.text("instructions").map { path throws(BerthError) in
                        try Input.file(path, field: "--instructions")
                    },
                    model: arguments.text("model"),
                    permissionMode: arguments.text("permission-mode"),
                    prompt: prompt,
                    requestTimeoutMs: try arguments.milliseconds("request-timeout")
                )
            )
            guard !arguments.has("detach") else {
                try server.print(created) { "\(created.name) (\(created.id)) is \(created.activity.rawValue)\n" }
                return 0
            }
            return try await SessionScreen.follow(server, created.workspaceId.text, created.id.text, from: 0)
        }
    }

    static let mode = Option.value(
        "permission-mode",
        "MODE",
        "What it may do without asking: default (look), acceptEdits, plan or bypassPermissions (all).",
        choices: ["default", "acceptEdits", "plan", "bypassPermissions"]
    )

    private static let send = Command(
        path: ["session", "send"],
        summary: "Send a message to an agent; it waits while the agent works.",
        operands: [
            workspace, session,
            Operand(name: "TEXT", count: .optional, about: "the message; without it, standard input"),
        ],
        options: [.flag("wait", short: "w", "Show what it leads to, until its turn is over.")],
        examples: [Example(line: "berth session send ws_… claude 'now add a test'", about: "For the next turn")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { server in
            let text =
                arguments.operands.count > 2 ? arguments.operands[2] : try Input.standardInput(for: "the message")
            let id = IDSource(time: terminal.loop.time, randomness: SystemRandomness()).make(SessionMessageKind.self)
            let answered: AgentSession = try await server.client.call(
                .agentSessionSend,
                path: path(arguments),
                body: SendMessage(text: text, id: id)
            )
            guard arguments.has("wait") else {
                let waits = answered.queue.contains { $0.id == id }
                try server.print(answered) { waits ? "\(id) waits for its turn\n" : "\(id) was sent\n" }
                return 0
            }
            return try await SessionScreen.await(id, server, arguments.operands[0], answered.id.text)
        }
    }

    private static let attach = Command(
        path: ["session", "attach"],
        summary: "Follow a conversation, answer what the agent asks, and write to it.",
        operands: [workspace, session],
        options: [
            .value("from", "SEQ", "First event shown is behind this one; negative: the last so many; default -100.")
        ],
        examples: [Example(line: "berth session attach ws_… claude", about: "With what was last said")],
        discussion: SessionScreen.keys
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { server in
            try await SessionScreen.follow(
                server,
                arguments.operands[0],
                arguments.operands[1],
                from: try offset(arguments, standard: -100)
            )
        }
    }

    private static func offset(_ arguments: ParsedArguments, standard: Int64) throws(BerthError) -> Int64 {
        guard let text = arguments.text("from") else { return standard }
        guard let number = Int64(text) else {
            throw BerthError(.usage, "'\(text.prefix(40))' is not a whole number", field: "--from")
        }
        return number
    }

    private static let log = Command(
        path: ["session", "log"],
        summary: "Show what was said and done in a conversation.",
        operands: [workspace, session],
        options: [.value("from", "SEQ", "Only what is behind this event; negative: the last so many; default 0.")],
        examples: [Example(line: "berth session log ws_… claude --json", about: "Every event, as JSON lines")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { server in
            let renderer = SessionRenderer(style: terminal.style, width: terminal.width)
            var events = server.client.sessionEvents(
                workspace: arguments.operands[0],
                session: arguments.operands[1],
                from: try offset(arguments, standard: 0),
                follows: false
            )
            while let news = try await events.next() {
                if server.isJSON {
                    terminal.writeBytes(news.json + Array("\n".utf8), toError: false)
                } else if case .event(let event) = news.kind, let text = renderer.text(event) {
                    terminal.write(text)
                } else if case .gap(let gap) = news.kind {
                    terminal.write(renderer.text(gap: gap))
                }
            }
            return 0
        }
    }

    private static let list = Command(
        path: ["session", "ls"],
        summary: "List the agent sessions of a workspace.",
        operands: [workspace],
        examples: [Example(line: "berth session ls ws_…", about: "Those that were stopped too")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { server in
            let page: Page<AgentSession> = try await server.client.call(
                .agentSessionList,
                path: ["workspaceId": arguments.operands[0]]
            )
            try server.print(page) {
                var table = Table(
                    header: ["NAME", "AGENT", "STATUS", "ACTIVITY", "TURNS", "QUEUE", "MODEL", "CHANGED", "ID"]
                )
                for item in page.items {
                    table.rows.append([
                        item.name, item.agent.rawValue, item.status.rawValue, item.activity.rawValue, "\(item.turns)",
                        "\(item.queue.count)", item.model ?? "-", terminal.age(item.changedAt), item.id.text,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }
}
