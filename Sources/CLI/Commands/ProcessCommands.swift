import API
import Base
import Client
import Domain
import WorkspaceTypes

/// `ps`, `kill`: what runs in an environment.
enum ProcessCommands {
    static let all = [list, signal]

    private static let environment = Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment")

    private static let list = Command(
        path: ["ps"],
        summary: "List the processes of an environment, and to what each belongs.",
        operands: [environment],
        examples: [Example(line: "berth ps build", about: "Executions, terminals, connections, and what they left")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<EnvironmentProcess> = try await session.client.call(
                .processList,
                path: ["environmentId": arguments.operands[0]]
            )
            try session.print(page) {
                var table = Table(header: [
                    "PID", "PARENT", "USER", "STATE", "CPU", "MEMORY", "AGE", "OWNER", "COMMAND",
                ])
                for item in page.items {
                    table.rows.append([
                        "\(item.pid)", "\(item.parent)", item.user, item.state,
                        DurationText.text(milliseconds: item.cpuMs), SizeText.text(item.memoryBytes),
                        terminal.age(item.startedAt), item.owner ?? "-", item.command,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let signal = Command(
        path: ["kill"],
        summary: "Send a signal to a process of an environment.",
        operands: [environment, Operand(name: "PID", count: .one, about: "its number, from 'berth ps'")],
        options: [.value("signal", short: "s", "SIGNAL", "A name or a number; default TERM.")],
        examples: [Example(line: "berth kill build 4711 -s KILL", about: "At once")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let process: EnvironmentProcess = try await session.client.call(
                .processSignal,
                path: ["environmentId": arguments.operands[0], "pid": arguments.operands[1]],
                body: SignalProcess(signal: arguments.text("signal"))
            )
            try session.print(process) { "\(process.pid) \(process.command)\n" }
            return 0
        }
    }
}
