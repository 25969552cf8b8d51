import API
import Base
import Client
import Domain

/// What is done with an agent session from outside of it.
enum SessionDeeds {
    static let all = [approve, deny, answer, interrupt, withdraw, settings, stop, remove]

    private static let request = Operand(
        name: "REQUEST",
        count: .optional,
        about: "its id; default the oldest that waits"
    )

    private static let approve = Command(
        path: ["session", "approve"],
        summary: "Allow what an agent asks for.",
        operands: [SessionCommands.workspace, SessionCommands.session, request],
        options: [.flag("always", "From now on too, as the agent understands it.")],
        examples: [Example(line: "berth session approve ws_… claude", about: "The oldest that waits")]
    ) { arguments, terminal in
        try await reply(arguments, terminal, "was allowed") { _ in
            AnswerRequest(decision: arguments.has("always") ? .allowAlways : .allow)
        }
    }

    private static let deny = Command(
        path: ["session", "deny"],
        summary: "Deny what an agent asks for.",
        operands: [SessionCommands.workspace, SessionCommands.session, request],
        options: [.value("reason", "TEXT", "Why not, or what instead; the agent reads it.")],
        examples: [
            Example(line: "berth session deny ws_… claude --reason 'use the staging key'", about: "With a reason")
        ]
    ) { arguments, terminal in
        try await reply(arguments, terminal, "was denied") { _ in
            AnswerRequest(decision: .deny, message: arguments.text("reason"))
        }
    }

    private static let answer = Command(
        path: ["session", "answer"],
        summary: "Answer an agent's question.",
        operands: [
            SessionCommands.workspace, SessionCommands.session,
            Operand(name: "ANSWER", count: .any, about: "one for each part: an option's number, or words"),
        ],
        options: [.value("request", "ID", "Which; default the oldest that waits.")],
        examples: [Example(line: "berth session answer ws_… claude 2", about: "Its second option")]
    ) { arguments, terminal in
        let words = Array(arguments.operands.dropFirst(2))
        return try await reply(arguments, terminal, "was answered", id: arguments.text("request")) { request in
            AnswerRequest(decision: .allow, answers: try answers(words, to: request))
        }
    }

    /// An option's number is the option.
    static func answers(_ words: [String], to request: SessionRequest) throws(BerthError) -> [String: String] {
        guard request.kind == .question else {
            throw BerthError(
                .usage,
                "what waits is no question",
                remedy: "use 'berth session approve' or 'berth session deny'"
            )
        }
        guard words.count == request.questions.count else {
            throw BerthError(
                .usage,
                "\(words.count) answers were given to \(request.questions.count) questions",
                remedy: request.questions.map(\.text).joined(separator: " / ")
            )
        }
        var answers: [String: String] = [:]
        for (question, word) in zip(request.questions, words) {
            let option = Int(word).flatMap {
                question.options.indices.contains($0 - 1) ? question.options[$0 - 1] : nil
            }
            answers[question.id] = option?.id ?? word
        }
        return answers
    }

    private static func reply(
        _ arguments: ParsedArguments,
        _ terminal: Terminal,
        _ what: String,
        id: String? = nil,
        _ make: @escaping @Sendable (SessionRequest) throws -> AnswerRequest
    ) async throws -> Int32 {
        let named = id ?? (arguments.operands.count == 3 && what != "was answered" ? arguments.operands[2] : nil)
        return try await ServerSession.with(arguments, terminal) { server in
            var path = SessionCommands.path(arguments)
            let known: AgentSession = try await server.client.call(.agentSessionGet, path: path)
            let found = named.map { id in known.requests.first { $0.id == id } } ?? known.requests.first
            guard let found else {
                throw BerthError(
                    .notFound,
                    "\(known.name) waits for no answer" + (named.map { " under '\($0.prefix(80))'" } ?? "")
                )
            }
            path["requestId"] = found.id
            let session: AgentSession = try await server.client.call(
                .agentSessionAnswer,
                path: path,
                body: try make(found)
            )
            try server.print(session) { "\(found.title.prefix(200)) \(what)\n" }
            return 0
        }
    }

    private static let interrupt = Command(
        path: ["session", "interrupt"],
        summary: "Interrupt what an agent does; messages that wait stay.",
        operands: [SessionCommands.workspace, SessionCommands.session],
        examples: [Example(line: "berth session interrupt ws_… claude", about: "The conversation goes on afterwards")],
        run: { try await perform($0, $1, .agentSessionInterrupt, "is being interrupted") }
    )

    private static let stop = Command(
        path: ["session", "stop"],
        summary: "End an agent's process; a message takes the conversation up again.",
        operands: [SessionCommands.workspace, SessionCommands.session],
        examples: [Example(line: "berth session stop ws_… claude", about: "Its log stays")],
        run: { try await perform($0, $1, .agentSessionStop, "is being stopped") }
    )

    private static let remove = Command(
        path: ["session", "rm"],
        summary: "Stop a conversation and remove its log.",
        operands: [SessionCommands.workspace, SessionCommands.session],
        examples: [
            Example(line: "berth session rm ws_… claude", about: "Nothing of it stays but the agent's own file")
        ],
        run: { try await perform($0, $1, .agentSessionRemove, "is being removed") }
    )

    private static func perform(
        _ arguments: ParsedArguments,
        _ terminal: Terminal,
        _ route: RouteID,
        _ what: String
    ) async throws -> Int32 {
        try await ServerSession.with(arguments, terminal) { server in
            let session: AgentSession = try await server.client.call(route, path: SessionCommands.path(arguments))
            try server.print(session) { "\(session.name) (\(session.id)) \(what)\n" }
            return 0
        }
    }

    private static let withdraw = Command(
        path: ["session", "withdraw"],
        summary: "Take back a message that waits for its turn.",
        operands: [
            SessionCommands.workspace, SessionCommands.session,
            Operand(name: "MESSAGE", count: .one, about: "its id, msg_…"),
        ],
        examples: [Example(line: "berth session withdraw ws_… claude msg_…", about: "As 'session send' printed it")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { server in
            var path = SessionCommands.path(arguments)
            path["messageId"] = arguments.operands[2]
            let session: AgentSession = try await server.client.call(.agentSessionWithdraw, path: path)
            try server.print(session) { "\(arguments.operands[2]) was withdrawn\n" }
            return 0
        }
    }

    private static let settings = Command(
        path: ["session", "set"],
        summary: "Change an agent's model, or what it may do without asking.",
        operands: [SessionCommands.workspace, SessionCommands.session],
        options: [.value("model", short: "m", "NAME", "For the turns to come."), SessionCommands.mode],
        examples: [
            Example(
                line: "berth session set ws_… claude --permission-mode acceptEdits",
                about: "Also in the middle of a turn"
            )
        ]
    ) { arguments, terminal in
        guard arguments.text("model") != nil || arguments.text("permission-mode") != nil else {
            throw BerthError(.usage, "nothing is to be changed", remedy: "give --model or --permission-mode")
        }
        return try await ServerSession.with(arguments, terminal) { server in
            let session: AgentSession = try await server.client.call(
                .agentSessionChange,
                path: SessionCommands.path(arguments),
                body: ChangeAgentSession(
                    model: arguments.text("model"),
                    permissionMode: arguments.text("permission-mode")
                )
            )
            try server.print(session) {
                "\(session.name): \(session.model ?? "its own model"), \(session.permissionMode)\n"
            }
            return 0
        }
    }
}
