import API
import Base
import Domain

/// The end of a run, for people.
enum OutcomeText {
    static func text(_ execution: Execution, style: Style) -> String {
        var lines = [headline(execution, style: style)]
        if let failure = execution.failure {
            lines.append("  " + style.red(failure.message))
            if let remedy = failure.remedy { lines.append("  → " + remedy) }
        }
        if let outcome = execution.report?.workspace { lines += workspace(outcome, style: style) }
        lines.append(style.dim("  " + figures(execution).joined(separator: " · ")))
        return lines.joined(separator: "\n") + "\n"
    }

    private static func headline(_ execution: Execution, style: Style) -> String {
        let id = execution.id.text
        return switch execution.status {
        case .completed: style.green("✓ completed") + " " + id
        case .cancelled:
            style.yellow("■ cancelled") + (execution.cancelledBy.map { " by \($0)" } ?? "") + " " + id
        case .timedOut: style.red("✗ timed out") + " " + id
        case .failed: style.red("✗ failed") + (execution.exitCode.map { " with status \($0)" } ?? "") + " " + id
        default: "\(execution.status) \(id)"
        }
    }

    private static func workspace(_ outcome: WorkspaceOutcome, style: Style) -> [String] {
        var lines = ["  branch " + style.bold(outcome.branch) + (outcome.pushed ? " (pushed)" : "")]
        for commit in outcome.commits.prefix(20) {
            lines.append("  " + style.yellow(String(commit.id.prefix(9))) + " " + commit.subject)
        }
        if outcome.commits.count > 20 { lines.append("  … \(outcome.commits.count - 20) more commits") }
        if outcome.commits.isEmpty { lines.append("  no commits") }
        if !outcome.files.isEmpty { lines.append("  " + statistics(outcome.files, style: style)) }
        for warning in outcome.warnings { lines.append("  " + style.yellow("! " + warning)) }
        return lines
    }

    static func statistics(_ files: [WorkspaceOutcome.FileChange], style: Style) -> String {
        let added = files.compactMap(\.additions).reduce(0, +)
        let deleted = files.compactMap(\.deletions).reduce(0, +)
        return "\(files.count) \(files.count == 1 ? "file" : "files") changed, "
            + style.green("+\(added)") + " " + style.red("−\(deleted)")
    }

    private static func figures(_ execution: Execution) -> [String] {
        var figures: [String] = []
        if let duration = execution.durationMs { figures.append(DurationText.text(milliseconds: duration)) }
        if let usage = execution.usage {
            if let cost = usage.costUSD { figures.append("$" + money(cost)) }
            if let turns = usage.turns { figures.append("\(turns) \(turns == 1 ? "turn" : "turns")") }
            if usage.outputTokens > 0 { figures.append("\(usage.inputTokens) + \(usage.outputTokens) tokens") }
        }
        if let model = execution.model { figures.append(model) }
        return figures
    }

    static func money(_ dollars: Double) -> String {
        let units = Int64((dollars * 10_000).rounded())
        let fraction = String(units % 10_000)
        return "\(units / 10_000)." + String(repeating: "0", count: 4 - fraction.count) + fraction
    }
}

extension Execution {
    /// What the program that waited for this execution exits with. Never 0 unless it completed.
    var exitStatus: Int32 {
        switch status {
        case .completed: return exitCode ?? 0
        case .cancelled: return ErrorCode.cancelled.exitStatus
        case .timedOut: return ErrorCode.timedOut.exitStatus
        default: break
        }
        if let signal = report?.signal, failure == nil || failure?.code == .agentFailed { return 128 + signal }
        if let failure, failure.code != .agentFailed { return failure.code.exitStatus }
        if let exitCode, exitCode != 0 { return exitCode }
        return ErrorCode.agentFailed.exitStatus
    }
}
