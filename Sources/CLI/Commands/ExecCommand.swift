import API
import Base
import Client
import Domain

/// `berth exec`: a command inside an environment, its output passed through byte for byte.
enum ExecCommand {
    static let command = Command(
        path: ["exec"],
        summary: "Run a command in an environment.",
        operands: [Operand(name: "COMMAND", count: .rest, about: "program and its arguments")],
        options: SharedOptions.placement + SharedOptions.run + options,
        examples: [
            Example(line: "berth exec -- uname -a", about: "In the personal environment, made on first use"),
            Example(line: "berth exec --environment build -- make test", about: "In an environment by name"),
            Example(line: "berth exec -i -- wc -l < notes.txt", about: "With standard input"),
            Example(
                line: "berth exec -- cat /etc/os-release > os-release",
                about: "Only the command's bytes are on stdout"
            ),
        ],
        discussion: """
            Standard output and standard error stay apart and are exact. Exits with the command's own status.
            Ctrl-C cancels it: the whole process tree ends.
            """
    ) { arguments, terminal in
        try await run(
            arguments,
            terminal,
            command: arguments.operands,
            environment: arguments.text("environment")
        )
    }

    static let options: [Option] = [
        .flag("stdin", short: "i", "Hand standard input to the command; text, read whole first, up to 8 MiB."),
        .value("workdir", "PATH", "Directory inside the environment; default: a private one, removed at the end."),
    ]

    static func run(
        _ arguments: ParsedArguments,
        _ terminal: Terminal,
        command: [String],
        environment: String?
    ) async throws -> Int32 {
        var request = CreateExecution()
        request.agent = .command
        request.command = command
        request.workingDirectory = arguments.text("workdir")
        if arguments.has("stdin") { request.prompt = try Input.standardInput(for: "standard input") }
        try SharedOptions.apply(arguments, to: &request, terminal: terminal)
        request.environment = environment
        return try await ServerSession.with(arguments, terminal) { [request] session in
            try await session.runAndFollow(request, as: .raw, isDetached: arguments.has("detach"))
        }
    }
}
