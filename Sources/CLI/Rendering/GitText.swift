import WorkspaceTypes

/// What git says, for people.
enum GitText {
    static func text(_ status: GitStatus, style: Style) -> String {
        var text = style.bold(status.branch ?? "no branch") + " " + (status.head.map { String($0.prefix(10)) } ?? "")
        if let upstream = status.upstream {
            text += ", follows \(upstream)"
            if let ahead = status.ahead, ahead > 0 { text += ", \(ahead) ahead" }
            if let behind = status.behind, behind > 0 { text += ", \(behind) behind" }
        }
        text += "\n"
        if let operation = status.operation { text += "a \(operation) is under way\n" }
        if status.stashes > 0 { text += "\(status.stashes) stashed\n" }
        let conflicts = status.changes.filter(\.isConflict)
        let staged = status.changes.filter { $0.staged != nil }
        let unstaged = status.changes.filter { $0.unstaged != nil }
        let untracked = status.changes.filter(\.isUntracked)
        text += section("in conflict", conflicts.map { style.red("  \($0.path)") })
        text += section("staged", staged.map { style.green("  " + line($0, $0.staged)) })
        text += section("not staged", unstaged.map { style.red("  " + line($0, $0.unstaged)) })
        text += section("new", untracked.map { style.red("  \($0.path)") })
        if status.changes.isEmpty { text += "nothing differs from the last commit\n" }
        if status.isTruncated { text += "and more\n" }
        return text
    }

    private static func section(_ title: String, _ lines: [String]) -> String {
        lines.isEmpty ? "" : "\(title):\n" + lines.map { $0 + "\n" }.joined()
    }

    private static func line(_ change: GitChange, _ kind: GitChange.Kind?) -> String {
        let name = change.previousPath.map { "\($0) → \(change.path)" } ?? change.path
        return "\((kind?.rawValue ?? "").padded(to: 12)) \(name)"
    }

    static func table(_ diff: GitDiff) -> Table {
        var table = Table(header: ["ADDED", "REMOVED", "KIND", "PATH"])
        for file in diff.files {
            table.rows.append([
                file.additions.map { "\($0)" } ?? "binary", file.deletions.map { "\($0)" } ?? "-", file.kind.rawValue,
                file.previousPath.map { "\($0) → \(file.path)" } ?? file.path,
            ])
        }
        return table
    }

    static func patches(_ diff: GitDiff, style: Style) -> String {
        diff.files.map { file in
            guard let patch = file.patch else { return "\(file.kind.rawValue) \(file.path): too long to show\n" }
            return patch.split(separator: "\n", omittingEmptySubsequences: false).map { line in
                let line = String(line)
                switch line.first {
                case "+": return style.green(line)
                case "-": return style.red(line)
                case "@": return style.cyan(line)
                default: return line.hasPrefix("diff ") ? style.bold(line) : line
                }
            }.joined(separator: "\n")
        }.joined()
    }

    static func text(_ pull: GitPull) -> String {
        let (before, after) = (pull.before.prefix(10), pull.after.prefix(10))
        var text =
            switch pull.result {
            case .upToDate: "up to date at \(after)\n"
            case .fastForwarded: "from \(before) to \(after)\n"
            case .merged: "merged \(pull.remote.prefix(10)) into \(before): \(after)\n"
            case .conflict: "\(before) and \(pull.remote.prefix(10)) conflict in:\n"
            case .dirty: "what is not committed stands in the way of \(pull.remote.prefix(10)):\n"
            }
        for file in pull.files { text += "  \(file)\n" }
        if let remedy = pull.remedy { text += "\(remedy)\n" }
        return text
    }
}
