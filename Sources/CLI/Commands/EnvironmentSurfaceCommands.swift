import API
import Base
import Client
import Domain

/// What can be seen of environments beside themselves.
enum EnvironmentSurfaceCommands {
    private static let operand = Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment")

    static let all = [mine, provision, executions, transitions, flavours, overview]

    private static let mine = Command(
        path: ["env", "mine"],
        summary: "Show the environment of your own.",
        examples: [Example(line: "berth env mine --json", about: "For a program")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let mine: API.Environment = try await session.client.call(.environmentMine)
            try session.print(mine) { EnvironmentText.text(mine, nil, style: terminal.style) }
            return 0
        }
    }

    private static let provision = Command(
        path: ["env", "provision"],
        summary: "Make the environment of your own, where there is none yet.",
        options: [SharedOptions.provider, .flag("no-wait", "Return before it runs.")] + SharedOptions.network
            + SharedOptions.limits,
        examples: [Example(line: "berth env provision --memory 4G", about: "Before its first use")]
    ) { arguments, terminal in
        var request = ProvisionEnvironment()
        request.provider = try SharedOptions.provider(arguments, terminal: terminal)
        request.network = try SharedOptions.network(arguments)
        request.limits = try SharedOptions.limits(arguments)
        return try await ServerSession.with(arguments, terminal) { [request] session in
            let made: API.Environment = try await session.client.call(.environmentProvision, body: request)
            let end = arguments.has("no-wait") ? made : try await session.settle(made, toward: made.desired)
            return try session.show(end, wanted: made.desired, waited: !arguments.has("no-wait"))
        }
    }

    private static let executions = Command(
        path: ["env", "executions"],
        summary: "List what ran in an environment, newest first.",
        operands: [operand],
        options: [.value("limit", "N", "How many, 1 to 200; default 20.")],
        examples: [Example(line: "berth env executions build", about: "Its history")]
    ) { arguments, terminal in
        let limit = try arguments.integer("limit", in: 1...200) ?? 20
        return try await ServerSession.with(arguments, terminal) { session in
            let page: Page<Execution> = try await session.client.call(
                .environmentExecutions,
                path: ["environmentId": arguments.operands[0]],
                query: [("limit", "\(limit)")]
            )
            try session.print(page) {
                var table = Table(header: ["ID", "STATUS", "EXIT", "AGE", "TOOK", "TITLE"])
                for execution in page.items {
                    table.rows.append([
                        execution.id.text, execution.status.rawValue, execution.exitCode.map { "\($0)" } ?? "-",
                        terminal.age(execution.createdAt),
                        execution.durationMs.map { DurationText.text(milliseconds: $0) } ?? "-", execution.title,
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let transitions = Command(
        path: ["env", "transitions"],
        summary: "List the changes of an environment's state, newest first, and who asked for them.",
        operands: [operand],
        options: [.value("limit", "N", "How many, 1 to 200; default 50.")],
        examples: [Example(line: "berth env transitions build", about: "Its history")]
    ) { arguments, terminal in
        let limit = try arguments.integer("limit", in: 1...200) ?? 50
        return try await ServerSession.with(arguments, terminal) { session in
            let page: Page<EnvironmentTransition> = try await session.client.call(
                .environmentTransitions,
                path: ["environmentId": arguments.operands[0]],
                query: [("limit", "\(limit)")]
            )
            try session.print(page) {
                var table = Table(header: ["AT", "STATE", "WANTED", "BOOT", "BY", "BECAUSE"])
                for change in page.items {
                    table.rows.append([
                        change.at.description, change.state, change.desired, "\(change.instance)",
                        change.actorId?.text ?? "server", change.failure?.message ?? change.message ?? "",
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let flavours = Command(
        path: ["env", "flavours"],
        summary: "List sizes of environments, and what of each this server's machine has.",
        examples: [Example(line: "berth env flavours", about: "A table")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let page: Page<API.Flavour> = try await session.client.call(.flavourList)
            try session.print(page) {
                var table = Table(header: ["NAME", "CPUS", "MEMORY", "DISK", "GRANTED HERE"])
                for flavour in page.items {
                    let limits = flavour.limits
                    table.rows.append([
                        flavour.name, limits.cpus.map { "\($0)" } ?? "-",
                        limits.memoryBytes.map { SizeText.text($0) } ?? "-",
                        limits.diskBytes.map { SizeText.text($0) } ?? "-", EnvironmentText.limits(flavour.granted),
                    ])
                }
                return terminal.text(table)
            }
            return 0
        }
    }

    private static let overview = Command(
        path: ["env", "overview"],
        summary: "Show every environment of the organization, the servers and figures; for admins.",
        options: [.value("destroy", "ID", "Destroy this one, whoever has it.")],
        examples: [
            Example(line: "berth env overview", about: "Everybody's"),
            Example(line: "berth env overview --destroy env_01jd0000000000000000000000", about: "Anybody's"),
        ]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            if let id = arguments.text("destroy") {
                let gone: API.Environment = try await session.client.call(.adminDestroy, path: ["environmentId": id])
                return try session.show(gone, wanted: "destroyed", waited: false)
            }
            let overview: EnvironmentOverview = try await session.client.call(.adminOverview)
            try session.print(overview) { text(overview, terminal) }
            return 0
        }
    }

    private static func text(_ overview: EnvironmentOverview, _ terminal: Terminal) -> String {
        var environments = Table(header: ["NAME", "ID", "STATUS", "PROVIDER", "LIMITS", "AGE"])
        for environment in overview.environments {
            environments.rows.append([
                environment.name, environment.id.text, environment.status, environment.spec.provider.rawValue,
                EnvironmentText.limits(environment.spec.limits), terminal.age(environment.createdAt),
            ])
        }
        var hosts = Table(header: ["SERVER", "ADDRESS", "VERSION", "ENVIRONMENTS", "RUNNING", "AGE"])
        for host in overview.hosts {
            hosts.rows.append([
                host.serverId.text, host.address ?? "-", host.version, "\(host.environments)", "\(host.running)",
                terminal.age(host.startedAt),
            ])
        }
        let figures = overview.statistics
        let states = figures.byState.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        return terminal.text(environments) + "\n" + terminal.text(hosts) + "\n"
            + "\(figures.total) \(figures.total == 1 ? "environment" : "environments"): \(states.joined(separator: ", "))\n"
            + "running: \(figures.runningCpus) of \(figures.cpus) cpus, "
            + "\(SizeText.text(figures.runningMemoryBytes)) of \(SizeText.text(figures.memoryBytes)) memory\n"
    }
}
