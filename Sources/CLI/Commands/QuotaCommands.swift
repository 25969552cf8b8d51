import API
import Base
import Client
import Domain
import EventLoop

/// `quota …`, `env extend`, `env health`.
enum QuotaCommands {
    static let all: [Command] = [show, set, extend, health]

    private static let operand = Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment")

    private static let show = Command(
        path: ["quota", "show"],
        summary: "Show your tier, what it allows and how much of it is used.",
        examples: [Example(line: "berth quota show", about: "How many environments are left")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let quota: Quota = try await session.client.call(.quotaGet)
            try session.print(quota) { text(quota, terminal) }
            return 0
        }
    }

    private static let set = Command(
        path: ["quota", "set"],
        summary: "Give a member another tier.",
        operands: [Operand(name: "TIER", count: .one, about: "free, pro or unlimited")],
        options: [.value("user", "ID", "The member; you without it.")],
        examples: [Example(line: "berth quota set pro", about: "Three environments, 4 processors each")]
    ) { arguments, terminal in
        let user = try arguments.text("user").map { try UserID($0) }
        let request = SetTier(tier: arguments.operands[0], userId: user)
        return try await ServerSession.with(arguments, terminal) { session in
            let quota: Quota = try await session.client.call(.quotaSet, body: request)
            try session.print(quota) { text(quota, terminal) }
            return 0
        }
    }

    private static func text(_ quota: Quota, _ terminal: Terminal) -> String {
        var table = Table(header: ["TIER", "ENVIRONMENTS", "OF", "EACH UP TO", "IDLE STOP"])
        table.rows.append([
            quota.tier, "\(quota.environments)", quota.maximumEnvironments.map { "\($0)" } ?? "any",
            EnvironmentText.limits(quota.limits), quota.idleStopMinutes.map { "\($0) m" } ?? "never",
        ])
        return terminal.text(table)
    }

    private static let extend = Command(
        path: ["env", "extend"],
        summary: "Set when an environment is destroyed by itself, or that it never is.",
        operands: [operand],
        options: [.value("hours", "N", "From now on, 1 to 8760; without it: never.")],
        examples: [Example(line: "berth env extend build --hours 24", about: "One more day")]
    ) { arguments, terminal in
        let hours = try arguments.integer("hours", in: 1...8760)
        let moment = hours.map { terminal.loop.time.now + .seconds($0 * 3600) }
        return try await ServerSession.with(arguments, terminal) { session in
            let environment: API.Environment = try await session.client.call(
                .environmentExtend,
                path: ["environmentId": arguments.operands[0]],
                body: ExtendEnvironment(expiresAt: moment)
            )
            try session.print(environment) { EnvironmentText.text(environment, nil, style: terminal.style) }
            return 0
        }
    }

    private static let health = Command(
        path: ["env", "health"],
        summary: "Show what the last look at an environment found.",
        operands: [operand],
        examples: [Example(line: "berth env health build", about: "Its worker, disk and memory")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let found: HealthOfEnvironment = try await session.client.call(
                .environmentHealth,
                path: ["environmentId": arguments.operands[0]]
            )
            try session.print(found) { text(found, terminal) }
            return 0
        }
    }

    private static func text(_ found: HealthOfEnvironment, _ terminal: Terminal) -> String {
        guard let health = found.health, let at = found.lastHealthCheckAt else {
            return "\(found.status); nobody has looked at it while it ran\n"
        }
        let problems = health.problems.map(\.rawValue).joined(separator: ", ")
        var table = Table(header: ["CHECK", "FOUND"])
        table.rows.append(["worker", health.awaySince.map { "away for \(terminal.age($0))" } ?? "connected"])
        table.rows.append(["disk", amount(health.diskFreeBytes, "free of", health.diskBytes)])
        table.rows.append(["memory", amount(health.memoryBytes, "used of", health.memoryLimitBytes)])
        let verdict = problems.isEmpty ? "well" : problems
        return "\(found.status); \(verdict), \(terminal.age(at)) ago\n\n" + terminal.text(table)
    }

    private static func amount(_ part: Int64?, _ words: String, _ whole: Int64?) -> String {
        guard let part else { return "not known" }
        return SizeText.text(part) + (whole.map { " \(words) \(SizeText.text($0))" } ?? "")
    }
}
