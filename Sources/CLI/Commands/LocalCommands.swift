import API
import Base
import Server
import WorkerProtocol

enum VersionCommand {
    static let command = Command(
        path: ["version"],
        summary: "Print versions.",
        examples: [Example(line: "berth version --json", about: "For a program")]
    ) { arguments, terminal in
        let version = Version(workerProtocol: ProtocolLimits.version)
        if arguments.has("json") {
            terminal.writeBytes(try JSONBody.encode(version) + Array("\n".utf8), toError: false)
        } else {
            terminal.write(
                "berth \(version.version) (API \(version.apiVersion), worker protocol \(version.workerProtocol))\n"
            )
        }
        return 0
    }
}

enum CompletionCommand {
    static let command = Command(
        path: ["completion"],
        summary: "Print a completion script for a shell.",
        operands: [Operand(name: "SHELL", count: .one, about: "bash, zsh or fish")],
        examples: [
            Example(line: "source <(berth completion bash)", about: "In this shell"),
            Example(line: "berth completion fish > ~/.config/fish/completions/berth.fish", about: "For good"),
        ]
    ) { arguments, terminal in
        let shell = arguments.operands[0]
        guard let script = CompletionScript.text(for: shell, commands: Commands.all) else {
            throw BerthError(
                .usage,
                "'\(shell)' is not a shell that is known here",
                remedy: "shells: \(CompletionScript.shells.joined(separator: ", "))"
            )
        }
        terminal.write(script)
        return 0
    }
}

enum ConfigCommand {
    static let command = Command(
        path: ["config"],
        summary: "Print every setting with its source; secrets redacted.",
        options: ServeCommand.options,
        examples: [
            Example(line: "berth config", about: "What the server would use"),
            Example(line: "BERTH_LISTEN=0.0.0.0:7410 berth config --json", about: "With a variable set"),
        ]
    ) { arguments, terminal in
        let rows = try Surroundings.configuration(arguments, terminal).rows()
        if arguments.has("json") {
            let object = rows.reduce(into: [String: JSONValue]()) { object, row in
                object[row.key.name] = [
                    "value": row.value.map { .string($0) } ?? .null, "source": .string(row.source),
                    "variables": .array(row.key.variables.map { .string($0) }), "about": .string(row.key.about),
                ]
            }
            terminal.writeBytes(try JSONBody.encode(object, pretty: true) + Array("\n".utf8), toError: false)
            return 0
        }
        var table = Table(header: ["SETTING", "VALUE", "SOURCE", "VARIABLES", "MEANING"])
        for row in rows {
            let unit = row.key.unit.isEmpty || row.value == nil ? "" : " \(row.key.unit)"
            table.rows.append([
                row.key.name, (row.value ?? "-") + unit, row.source, row.key.variables.joined(separator: " "),
                row.key.about,
            ])
        }
        terminal.write(table.text(style: terminal.style))
        return 0
    }
}

enum ServeCommand {
    static let options: [Option] =
        [
            .value("config", "FILE", "Settings, JSON5; default: ~/.config/berth/config.json5 where it exists."),
            .value("set", "NAME=VALUE", "Any setting of 'berth config'.", repeats: true),
        ]
        + ["data", "database", "listen", "workerPort", "tlsCertificate", "tlsKey", "provider", "logLevel"]
        .compactMap { ConfigurationKey.named($0) }
        .map { .value($0.flag, $0.name == "data" ? "DIR" : "VALUE", $0.about) }

    static let command = Command(
        path: ["serve"],
        summary: "Run the server.",
        options: options,
        examples: [
            Example(line: "berth serve", about: "On 127.0.0.1:7410, for this user"),
            Example(line: "berth serve --data /srv/berth --listen 127.0.0.1:9000", about: "Elsewhere"),
        ],
        discussion: """
            Writes the API key to DATA/api-key (0600) and its address to DATA/server.json, where the other commands
            find them. SIGTERM, Ctrl-C and the end of its terminal stop it gracefully; environments and runs go on and are
            taken up again.
            With a certificate it prints the pin of its key, for clients and workers that know no authority of it; new
            files in the certificate's place are taken without a restart, or at SIGHUP.
            """
    ) { arguments, terminal in
        try await BerthServer.main(
            configuration: try Surroundings.configuration(arguments, terminal),
            loop: terminal.loop,
            announce: { address in
                for pin in address.pins { terminal.writeError("berth shows the key \(pin)\n") }
                terminal.writeError("berth is listening on \(address.url)\n")
            }
        )
        return 0
    }
}

enum DoctorCommand {
    static let command = Command(
        path: ["doctor"],
        summary: "Check this machine and say what cannot be enforced.",
        options: ServeCommand.options + [.flag("quiet", short: "q", "Only what is missing or limited.")],
        examples: [Example(line: "berth doctor", about: "Before the first run")]
    ) { arguments, terminal in
        let configuration = try Surroundings.configuration(arguments, terminal)
        let findings = (await Doctor.database(configuration) + Doctor.examine(configuration, loop: terminal.loop))
            .filter { !arguments.has("quiet") || $0.level != .good }
        if arguments.has("json") {
            terminal.writeBytes(try JSONBody.encode(findings, pretty: true) + Array("\n".utf8), toError: false)
        } else {
            let style = terminal.style
            for finding in findings {
                let mark =
                    switch finding.level {
                    case .good: style.green("✓")
                    case .limited: style.yellow("!")
                    case .bad: style.red("✗")
                    }
                terminal.write("\(mark) \(finding.subject.padded(to: 18)) \(finding.message)\n")
                if let remedy = finding.remedy { terminal.write("  → \(remedy)\n") }
            }
        }
        return findings.contains { $0.level == .bad } ? ErrorCode.unavailable.exitStatus : 0
    }
}
