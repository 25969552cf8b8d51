import API
import Base
import Client
import Domain
import EventLoop

/// `env …`.
enum EnvironmentCommands {
    private static let operand = Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment")

    static let all: [Command] =
        [create, list, show, EnvironmentWhyCommand.command]
        + [EnvironmentLogCommand.command, EnvironmentExecCommand.command, EnvironmentNetworkCommand.command]
        + EnvironmentSurfaceCommands.all
        + [
            verb("start", .environmentStart, "Start a stopped environment."),
            verb("stop", .environmentStop, "Stop it: every process in it ends, its files stay."),
            verb("pause", .environmentPause, "Freeze its processes."),
            verb("resume", .environmentResume, "Let a paused environment go on."),
            verb("retry", .environmentRetry, "Try again what failed."),
            verb("destroy", .environmentDestroy, "Remove it with all its files."),
        ]

    private static let create = Command(
        path: ["env", "create"],
        summary: "Make an environment.",
        operands: [Operand(name: "NAME", count: .optional, about: "lower-case letters, digits, hyphens")],
        options: [
            SharedOptions.provider,
            SharedOptions.image,
            .flag("limits-required", "Refuse where a limit cannot be enforced."),
            .value("auto-stop", "MINUTES", "Pause after this many idle minutes, 5 to 480, default 30; 0: never."),
            .value("expires", "HOURS", "Destroy it by itself after so many hours, 1 to 8760."),
            .flag("no-wait", "Return before it runs."),
        ] + SharedOptions.network + SharedOptions.limits,
        examples: [
            Example(line: "berth env create build --cpus 2 --memory 2G", about: "A sandbox with caps"),
            Example(line: "berth env create offline --network none", about: "One that reaches nothing"),
        ]
    ) { arguments, terminal in
        var request = CreateEnvironment()
        request.name = arguments.operands.first
        request.provider = try SharedOptions.provider(arguments, terminal: terminal)
        request.image = arguments.text("image")
        request.network = try SharedOptions.network(arguments)
        request.limits = try SharedOptions.limits(arguments)
        request.limitsPolicy = arguments.has("limits-required") ? .required : nil
        request.autoStopMinutes = try arguments.integer("auto-stop", in: 0...480)
        let hours = try arguments.integer("expires", in: 1...8760)
        request.expiresAt = hours.map { terminal.loop.time.now + .seconds($0 * 3600) }
        return try await ServerSession.with(arguments, terminal) { [request] session in
            let made: API.Environment = try await session.client.call(.environmentCreate, body: request)
            let end = arguments.has("no-wait") ? made : try await session.settle(made, toward: "running")
            return try session.show(end, wanted: "running", waited: !arguments.has("no-wait"))
        }
    }

    private static let list = Command(
        path: ["env", "ls"],
        summary: "List environments.",
        examples: [Example(line: "berth env ls", about: "All of yours")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<API.Environment> = try await session.client.call(
                .environmentList,
                query: [("limit", "200")]
            )
            try session.print(page) {
                var table = Table(header: ["NAME", "ID", "STATUS", "PROVIDER", "INSTANCE", "AGE"])
                for environment in page.items {
                    table.rows.append([
                        environment.name, environment.id.text, environment.status,
                        environment.spec.provider.rawValue, "\(environment.instance)",
                        terminal.age(environment.createdAt),
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let show = Command(
        path: ["env", "show"],
        summary: "Show an environment and why it is in its state.",
        operands: [operand],
        examples: [Example(line: "berth env show build", about: "Its state, limits and last changes")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let path = ["environmentId": arguments.operands[0]]
            let environment: API.Environment = try await session.client.call(.environmentGet, path: path)
            let why: EnvironmentWhy = try await session.client.call(.environmentWhy, path: path)
            try session.print(environment) { EnvironmentText.text(environment, why, style: terminal.style) }
            return 0
        }
    }

    private static func verb(_ name: String, _ route: RouteID, _ summary: String) -> Command {
        let wanted = ["start": "running", "resume": "running", "stop": "stopped", "pause": "paused"]
        return Command(
            path: ["env", name],
            summary: summary,
            operands: [operand],
            options: [.flag("no-wait", "Return before it is done.")]
                + (name == "destroy"
                    ? [.flag("force", "Give it up where its provider or its server is gone for good.")] : []),
            examples: [Example(line: "berth env \(name) build", about: summary)]
        ) { arguments, terminal in
            try await ServerSession.with(arguments, terminal) { session in
                let accepted: API.Environment = try await session.client.call(
                    route,
                    path: ["environmentId": arguments.operands[0]],
                    query: name == "destroy" && arguments.has("force") ? [("force", "true")] : []
                )
                let goal = wanted[name] ?? (name == "destroy" ? "destroyed" : accepted.desired)
                if arguments.has("no-wait") { return try session.show(accepted, wanted: goal, waited: false) }
                var end = try await session.settle(accepted, toward: goal)
                end.lost = accepted.lost
                return try session.show(end, wanted: goal, waited: true)
            }
        }
    }
}

enum EnvironmentText {
    static func text(_ environment: API.Environment, _ why: EnvironmentWhy?, style: Style) -> String {
        let spec = environment.spec
        var facts: [(String, String?)] = [
            ("id", environment.id.text),
            (
                "status",
                environment.status + (environment.status == environment.desired ? "" : " → \(environment.desired)")
            ),
            ("because", environment.statusMessage),
            ("since", environment.statusSince.description),
            ("provider", spec.provider.rawValue),
            ("image", spec.image),
            ("instance", "\(environment.instance)"),
            ("limits", limits(spec.limits) + (environment.limitsEnforced.map { " (enforced by \($0))" } ?? "")),
            (
                "network",
                spec.network.kind.rawValue
                    + (spec.network.allow.isEmpty
                        ? "" : ": \(spec.network.allow.map(\.description).joined(separator: ", "))")
                    + (spec.network.hostPorts.isEmpty
                        ? "" : ", host ports \(spec.network.hostPorts.map(String.init).joined(separator: ", "))")
            ),
        ]
        if let requested = environment.requestedLimits { facts.append(("asked for", Self.limits(requested))) }
        if let moment = environment.expiresAt { facts.append(("expires", moment.description)) }
        facts += environment.limitations.map { ("not enforced", $0) }
        if let why, !why.allowed.isEmpty { facts.append(("may", why.allowed.joined(separator: ", "))) }
        var text = style.bold(environment.name) + "\n"
        for (name, value) in facts { if let value { text += "  \(name.padded(to: 12)) \(value)\n" } }
        for change in why?.changes.prefix(8) ?? [] {
            text += style.dim("  \(change.at) \(change.type)") + "\n"
        }
        return text
    }

    static func limits(_ limits: ResourceLimits) -> String {
        var parts: [String] = []
        if let cpus = limits.cpus { parts.append("\(cpus) cpus") }
        if let memory = limits.memoryBytes { parts.append("\(SizeText.text(memory)) memory") }
        if let disk = limits.diskBytes { parts.append("\(SizeText.text(disk)) disk") }
        if let processes = limits.processes { parts.append("\(processes) processes") }
        return parts.isEmpty ? "none" : parts.joined(separator: ", ")
    }
}
