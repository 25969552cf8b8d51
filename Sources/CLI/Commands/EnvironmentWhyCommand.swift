import API
import Base
import Client
import Domain

/// `env why`.
enum EnvironmentWhyCommand {
    static let command = Command(
        path: ["env", "why"],
        summary: "Show what uses an environment, when it rests, and why it rested.",
        operands: [Operand(name: "ENVIRONMENT", count: .one, about: "name or id of an environment")],
        examples: [Example(line: "berth env why build", about: "Who keeps it awake, or what it was stopped for")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let path = ["environmentId": arguments.operands[0]]
            let activity: EnvironmentActivity = try await session.client.call(.environmentActivity, path: path)
            try session.print(activity) { text(activity, terminal) }
            return 0
        }
    }

    private static func text(_ activity: EnvironmentActivity, _ terminal: Terminal) -> String {
        var text = "\(activity.status); last used \(terminal.age(activity.lastUseAt)) ago; \(outlook(activity))\n"
        if let uses = activity.uses {
            var table = Table(header: ["USE", "OPEN", "LAST SEEN"])
            for use in uses {
                table.rows.append([use.kind, "\(use.open)", use.lastAt.map { terminal.age($0) + " ago" } ?? "-"])
            }
            text += "\n" + terminal.text(table)
        } else if activity.status == "running" {
            text += "its worker has not said what goes on\n"
        }
        guard !activity.rests.isEmpty else { return text }
        var table = Table(header: ["RESTED", "DID", "BECAUSE", "IDLE", "LAST USE", "LAST SEEN"])
        for rest in activity.rests {
            let seen = rest.uses.compactMap { use in use.lastAt.map { "\(use.kind) \($0)" } }
            table.rows.append([
                rest.decidedAt.description, rest.action.rawValue,
                rest.rule == .autoStop ? "its auto-stop" : "its tier", "\(rest.idleMinutes) m",
                rest.lastUseAt.description, seen.isEmpty ? "-" : seen.joined(separator: ", "),
            ])
        }
        return text + "\n" + terminal.text(table)
    }

    private static func outlook(_ activity: EnvironmentActivity) -> String {
        if activity.isInUse { return "in use: it is not put to rest" }
        guard let moment = activity.restsAt, let action = activity.nextRest else {
            return activity.status == "running" || activity.status == "paused"
                ? "it is never put to rest by itself" : "it rests"
        }
        return "\(action == .pause ? "pauses" : "stops") at \(moment) unless it is used"
    }
}
