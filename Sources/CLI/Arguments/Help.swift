import Base

/// Help texts, made from the commands' descriptions.
enum Help {
    static func text(for command: Command, style: Style) -> String {
        var lines = [style.bold("berth \(command.name)") + " — " + command.summary, ""]
        let operands = command.operands.map(\.synopsis).joined(separator: " ")
        let hasOptions = command.allOptions.isEmpty ? "" : " [options]"
        lines.append("Usage: berth \(command.name)\(hasOptions)" + (operands.isEmpty ? "" : " \(operands)"))
        if !command.discussion.isEmpty { lines += ["", command.discussion] }
        if !command.operands.isEmpty {
            lines += ["", style.bold("Arguments:")]
            lines += columns(command.operands.map { ("  " + $0.synopsis, $0.about) })
        }
        lines += ["", style.bold("Options:")]
        lines += columns(command.allOptions.map { ("  " + $0.spelling, $0.about) })
        if !command.examples.isEmpty {
            lines += ["", style.bold("Examples:")]
            for example in command.examples { lines += ["  # \(example.about)", "  \(example.line)"] }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    static func overview(_ commands: [Command], group: [String], style: Style) -> String {
        let shown = commands.filter { $0.path.starts(with: group) }
        let program = (["berth"] + group).joined(separator: " ")
        var lines: [String] = []
        if group.isEmpty {
            lines = [style.bold("berth") + " — a cloud of your own for coding agents", ""]
        }
        lines += ["Usage: \(program) COMMAND [options]", "", style.bold("Commands:")]
        lines += columns(shown.map { ("  " + $0.name, $0.summary) })
        lines += ["", "See '\(program) COMMAND --help' for options and examples."]
        if group.isEmpty { lines.append("See 'berth help exit-codes' for what the exit status means.") }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func columns(_ rows: [(String, String)]) -> [String] {
        let width = min(34, rows.map(\.0.count).max() ?? 0)
        return rows.map { left, right in
            left.count > width
                ? left + "\n" + String(repeating: " ", count: width + 2) + right
                : left.padded(to: width) + "  " + right
        }
    }

    static let exitCodes = """
        Exit status of berth

          0        it worked; for run and exec: the agent or command started and ended with 0
          1–63     the agent's or command's own exit status (a failed agent without one: 1)
          64       wrong use: an unknown option, a value that does not fit
          66       a thing that was named does not exist
          68       a host or repository cannot be reached
          69       unavailable: no server answers, the agent or an image is missing, not supported here
          70       a fault inside Berth
          71       the environment or the worker was lost while it ran
          73       a conflict: the state does not allow it, a push was rejected
          74       the disk is full
          75       a quota, cost or turn cap was reached
          76       the two sides speak different versions
          77       a key or login is missing or was refused
          124      the time limit passed
          128+N    signal N ended the agent's process
          130      it was cancelled

        A command's status from 64 on is passed on as it is; `--json` tells the two apart.
        0 is never returned when the agent did not start.

        """
}

extension String {
    func padded(to width: Int) -> String {
        count < width ? self + String(repeating: " ", count: width - count) : self
    }
}
