import API
import Base
import Client

/// `env exec`: as `exec`, in the environment that is named first.
enum EnvironmentExecCommand {
    static let command = Command(
        path: ["env", "exec"],
        summary: "Run a command in an environment; it is started or woken first.",
        operands: [
            Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment"),
            Operand(name: "COMMAND", count: .rest, about: "program and its arguments"),
        ],
        options: SharedOptions.run + ExecCommand.options,
        examples: [
            Example(line: "berth env exec build -- make test", about: "Its output, byte for byte"),
            Example(line: "berth env exec personal -- sh -c 'uptime; df -h'", about: "Several commands"),
        ],
        discussion: "As 'berth exec --environment ENVIRONMENT': exits with the command's own status."
    ) { arguments, terminal in
        try await ExecCommand.run(
            arguments,
            terminal,
            command: Array(arguments.operands.dropFirst()),
            environment: arguments.operands[0]
        )
    }
}
