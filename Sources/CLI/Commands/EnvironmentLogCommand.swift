import API
import Base
import Client

/// `env log`: what was done to an environment lately.
enum EnvironmentLogCommand {
    static let command = Command(
        path: ["env", "log"],
        summary: "Show what was done to an environment in the last hour.",
        operands: [Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment")],
        options: [
            .flag("follow", short: "f", "Go on with what comes, until interrupted."),
            .flag("debug", "Also what each call of the provider took."),
        ],
        examples: [
            Example(line: "berth env log build", about: "Its last boot, step by step"),
            Example(line: "berth env log build --follow --json", about: "One JSON object per line, for a program"),
        ]
    ) { arguments, terminal in
        let showsDebug = arguments.has("debug")
        return try await ServerSession.with(arguments, terminal) { session in
            let name = arguments.operands[0]
            guard arguments.has("follow") else {
                let log: Page<ProvisioningEntry> = try await session.client.call(
                    .environmentLog,
                    path: ["environmentId": name]
                )
                try session.print(log) {
                    log.items.filter { showsDebug || $0.level != "debug" }
                        .map { EnvironmentLogText.line($0, style: terminal.style) }.joined()
                }
                return 0
            }
            try await session.client.provisioningLog(of: name, isCurrent: false) { entry in
                if session.isJSON {
                    terminal.writeBytes(try JSONBody.encode(entry) + Array("\n".utf8), toError: false)
                } else if showsDebug || entry.level != "debug" {
                    terminal.write(EnvironmentLogText.line(entry, style: terminal.style))
                }
            }
            return 0
        }
    }
}

enum EnvironmentLogText {
    static func line(_ entry: ProvisioningEntry, style: Style) -> String {
        let level = entry.level.padded(to: 7)
        let shown =
            switch entry.level {
            case "success": style.green(level)
            case "error": style.red(level)
            case "debug": style.dim(level)
            default: level
            }
        return "\(entry.timestamp)  \(shown)  \(entry.message)\n"
    }
}

extension ServerSession {
    /// Says on standard error what is done to an environment until it rests; nothing where it rests already.
    func sayBoot(of environment: String) async throws {
        do {
            try await client.provisioningLog(of: environment, isCurrent: true) { entry in
                guard entry.level != "debug" else { return }
                say("  \(entry.message)")
            }
        } catch let error as BerthError {
            // The run tells by itself what has become of it.
            say("  the provisioning log cannot be read: \(error.message)")
        }
    }
}
