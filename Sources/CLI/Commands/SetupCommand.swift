import API
import Base
import Client
import Domain
import EventLoop
import Glibc

/// `setup`.
enum SetupCommand {
    static let command = Command(
        path: ["setup"],
        summary: "Set up your personal environment: make it, and log in to GitHub and to the agent inside it.",
        operands: [
            Operand(name: "REMOTE", count: .optional, about: "a server of 'berth remote ls'; default: this one")
        ],
        options: [
            .value("skip", "TOOL", "Do without the login of gh or claude.", repeats: true),
            .flag("check", "Only ask what is missing."),
        ],
        examples: [
            Example(line: "berth setup cloud", about: "Goes through what is missing, on terminals over there"),
            Example(line: "berth setup --check --json", about: "What is missing, for programs"),
        ],
        discussion:
            "Logins are typed on a terminal inside the environment and stay there; the server keeps no copy. Repeat it "
            + "whenever a login has expired."
    ) { arguments, terminal in
        var arguments = arguments
        if let remote = arguments.operands.first { arguments.values["remote"] = [remote] }
        return try await ServerSession.with(arguments, terminal) { [arguments] session in
            if !arguments.has("check") {
                session.say("making your environment…")
                let _: Setup = try await session.client.call(.setupBegin)
            }
            var asked: Set<String> = []
            while true {
                let body = CheckSetup(skip: arguments.all("skip"))
                let setup: Setup = try await session.client.call(.setupCheck, body: body)
                let next = setup.logins.first { $0.state == .loggedOut && !asked.contains($0.tool) }
                guard let next, let environment = setup.environmentId, !arguments.has("check"), isatty(0) == 1 else {
                    try session.print(setup) { text(setup) }
                    return setup.completedAt == nil ? ErrorCode.loginMissing.exitStatus : 0
                }
                asked.insert(next.tool)
                session.say("\(next.tool) has no login yet; this is a terminal in your environment")
                try await logIn(next, environment, session)
            }
        }
    }

    private static func text(_ setup: Setup) -> String {
        var table = Table(header: ["TOOL", "LOGIN", "WAY"])
        for login in setup.logins {
            let way = login.state == .loggedOut ? login.command.joined(separator: " ") : "-"
            table.rows.append([login.tool, login.state.rawValue, way])
        }
        let end =
            setup.completedAt == nil
            ? "not complete: run 'berth setup' on a terminal, or --skip what you do without\n" : "complete\n"
        return table.text(style: Style(isColored: false), width: nil) + end
    }

    /// Until the program on the terminal ends, or the person leaves it.
    private static func logIn(_ login: ToolLogin, _ environment: EnvironmentID, _ session: ServerSession) async throws {
        let made: TerminalSession = try await session.client.call(
            .terminalCreate,
            path: ["environmentId": environment.text],
            body: CreateTerminal(command: login.command)
        )
        _ = try await TerminalScreen(session: session, terminal: made.id.text, of: environment.text)
            .follow(from: 0, isReadOnly: false)
        // What was typed and shown there is nobody's business any more.
        let _: TerminalSession = try await session.client.call(
            .terminalRemove,
            path: ["environmentId": environment.text, "terminalId": made.id.text]
        )
    }
}
