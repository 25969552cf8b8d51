import API
import Base
import Client
import Domain

/// `terminal …`: programs on terminals in environments.
enum TerminalCommands {
    static let all = [open, attach, list, end, remove, output, export]

    private static let environment = Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment")
    private static let terminal = Operand(name: "TERMINAL", count: .one, about: "its name or id, term_…")
    private static let detachKey = """
        Ctrl-\\ leaves it running and gives the shell back; 'berth terminal attach' returns to it, from any machine.
        It goes on through a lost connection and through restarts of server and worker.
        """

    /// A command in one line of a table.
    private static func brief(_ command: [String]) -> String {
        let words = command.joined(separator: " ").split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return words.count > 60 ? words.prefix(59) + "…" : words
    }

    private static let open = Command(
        path: ["terminal", "open"],
        summary: "Start a shell, or a program, on a terminal in an environment and attach to it.",
        operands: [
            environment,
            Operand(name: "COMMAND", count: .any, about: "program and its arguments; default: the login shell"),
        ],
        options: [
            .value("name", "NAME", "What to call it; default shell, shell-2, …"),
            .value("workspace", short: "w", "NAME", "Begin in this workspace's checkout, with its variables."),
            .value("workdir", "PATH", "Begin in this directory of the environment."),
            .flag("detach", short: "d", "Start it and do not attach."),
        ],
        examples: [
            Example(line: "berth terminal open personal", about: "A shell in the personal environment"),
            Example(line: "berth terminal open build --name watch -- make watch", about: "A program by itself"),
        ],
        discussion: detachKey
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let size = TerminalScreen.size ?? .standard
            let command = Array(arguments.operands.dropFirst())
            let workspace = try await session.workspace(arguments.text("workspace"))
            let created: TerminalSession = try await session.client.call(
                .terminalCreate,
                path: ["environmentId": arguments.operands[0]],
                body: CreateTerminal(
                    name: arguments.text("name"),
                    workspaceId: workspace,
                    command: command.isEmpty ? nil : command,
                    directory: arguments.text("workdir"),
                    columns: Int(size.columns),
                    rows: Int(size.rows)
                )
            )
            guard !arguments.has("detach") else {
                try session.print(created) { "\(created.name) (\(created.id)) runs\n" }
                return 0
            }
            return try await TerminalScreen(session: session, terminal: created.id.text, of: arguments.operands[0])
                .follow(from: 0, isReadOnly: false)
        }
    }

    private static let attach = Command(
        path: ["terminal", "attach"],
        summary: "Attach to a terminal.",
        operands: [environment, terminal],
        options: [
            .flag("read-only", "Look on only."),
            .value("from", "OFFSET", "First byte shown; negative: so many before the end; default -65536."),
        ],
        examples: [Example(line: "berth terminal attach build watch", about: "With what it last showed")],
        discussion: detachKey
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let offset = try Self.offset(arguments, standard: -(64 << 10))
            return try await TerminalScreen(
                session: session,
                terminal: arguments.operands[1],
                of: arguments.operands[0]
            ).follow(from: offset, isReadOnly: arguments.has("read-only"))
        }
    }

    private static let list = Command(
        path: ["terminal", "ls"],
        summary: "List the terminals of an environment.",
        operands: [environment],
        examples: [Example(line: "berth terminal ls build", about: "Those that run, and those that ended")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<TerminalSession> = try await session.client.call(
                .terminalList,
                path: ["environmentId": arguments.operands[0]]
            )
            try session.print(page) {
                var table = Table(header: ["NAME", "STATUS", "AGE", "SIZE", "VIEWERS", "COMMAND", "ID"])
                for item in page.items {
                    table.rows.append([
                        item.name, Self.status(item), terminal.age(item.createdAt), "\(item.columns)×\(item.rows)",
                        "\(item.viewers)", Self.brief(item.command), item.id.text,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static func status(_ item: TerminalSession) -> String {
        if let code = item.exitCode { return "exited \(code)" }
        if let signal = item.signal { return "signal \(signal)" }
        return item.status
    }

    private static let end = Command(
        path: ["terminal", "end"],
        summary: "End what runs on a terminal; its output stays readable.",
        operands: [environment, terminal],
        examples: [Example(line: "berth terminal end build watch", about: "SIGTERM, after 5 s SIGKILL")],
        run: { try await finish($0, $1, .terminalEnd, "is being ended") }
    )

    private static let remove = Command(
        path: ["terminal", "rm"],
        summary: "End a terminal and remove every byte of it.",
        operands: [environment, terminal],
        examples: [Example(line: "berth terminal rm build watch", about: "Nothing of it stays")],
        run: { try await finish($0, $1, .terminalRemove, "is being removed") }
    )

    private static func finish(
        _ arguments: ParsedArguments,
        _ terminal: Terminal,
        _ route: RouteID,
        _ what: String
    ) async throws -> Int32 {
        try await ServerSession.with(arguments, terminal) { session in
            let item: TerminalSession = try await session.client.call(
                route,
                path: ["environmentId": arguments.operands[0], "terminalId": arguments.operands[1]]
            )
            try session.print(item) { "\(item.name) (\(item.id)) \(what)\n" }
            return 0
        }
    }

    private static let output = Command(
        path: ["terminal", "output"],
        summary: "Write the kept bytes of a terminal to standard output, as its program wrote them.",
        operands: [environment, terminal],
        options: [.value("from", "OFFSET", "First byte; negative: so many before the end; default 0.")],
        examples: [Example(line: "berth terminal output build watch > watch.log", about: "Up to 64 MiB are kept")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let offset = try Self.offset(arguments, standard: 0)
            try await session.client.terminalBytes(
                environment: arguments.operands[0],
                terminal: arguments.operands[1],
                from: offset
            ) { frame in
                switch frame {
                case .data(_, let bytes): terminal.writeBytes(Array(bytes), toError: false)
                case .gap(let range): session.say("bytes \(range.lowerBound) to \(range.upperBound) are kept no longer")
                default: break
                }
            }
            return 0
        }
    }

    private static let export = Command(
        path: ["terminal", "export"],
        summary: "Write what a terminal showed, and when, as an asciicast (version 2) to standard output.",
        operands: [environment, terminal],
        examples: [Example(line: "berth terminal export build watch > watch.cast", about: "For 'asciinema play'")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            try await session.client.recording(
                environment: arguments.operands[0],
                terminal: arguments.operands[1]
            ) { terminal.writeBytes($0, toError: false) }
            return 0
        }
    }

    private static func offset(_ arguments: ParsedArguments, standard: Int64) throws(BerthError) -> Int64 {
        guard let text = arguments.text("from") else { return standard }
        guard let number = Int64(text) else {
            throw BerthError(.usage, "'\(text.prefix(40))' is not a whole number", field: "--from")
        }
        return number
    }
}
