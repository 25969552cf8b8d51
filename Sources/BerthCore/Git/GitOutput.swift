internal import Base
public import WorkspaceTypes

/// Reads what git prints for programs. Pure; all of it with `-z`, so that names may be anything.
public enum GitOutput {
    // MARK: Status (git-status(1), *Porcelain Format Version 2*)

    public static func status(_ output: [UInt8], limit: Int = .max) -> GitStatus {
        var status = GitStatus()
        var entries = output.split(separator: 0).makeIterator()
        while let entry = entries.next() {
            let text = String(decoding: entry, as: UTF8.self)
            if text.hasPrefix("# ") {
                header(text.dropFirst(2), &status)
                continue
            }
            // The path is the last field and may hold spaces.
            func fields(_ count: Int) -> [Substring] {
                text.split(separator: " ", maxSplits: count - 1, omittingEmptySubsequences: false)
            }
            var change: GitChange?
            switch text.first {
            case "1":
                let parts = fields(9)
                if parts.count == 9 { change = ordinary(parts[1], path: parts[8]) }
            case "2":
                let parts = fields(10)
                let previous = entries.next().map { String(decoding: $0, as: UTF8.self) }
                if parts.count == 10 {
                    change = ordinary(parts[1], path: parts[9])
                    change?.previousPath = previous
                }
            case "u":
                let parts = fields(11)
                if parts.count == 11 { change = GitChange(path: String(parts[10]), isConflict: true) }
            case "?": change = GitChange(path: String(text.dropFirst(2)), isUntracked: true)
            default: break
            }
            guard let change else { continue }
            // Conflicts are told in any case.
            if status.changes.count < limit || change.isConflict {
                status.changes.append(change)
            } else {
                status.isTruncated = true
            }
        }
        return status
    }

    private static func header(_ text: Substring, _ status: inout GitStatus) {
        let words = text.split(separator: " ", maxSplits: 1)
        guard words.count == 2 else { return }
        let value = String(words[1])
        switch words[0] {
        case "branch.oid": status.head = value == "(initial)" ? nil : value
        case "branch.head": status.branch = value == "(detached)" ? nil : value
        case "branch.upstream": status.upstream = value
        case "branch.ab":
            let numbers = value.split(separator: " ").compactMap { Int($0) }
            if numbers.count == 2 { (status.ahead, status.behind) = (numbers[0], -numbers[1]) }
        case "stash": status.stashes = Int(value) ?? 0
        default: break
        }
    }

    private static func ordinary(_ letters: Substring, path: Substring) -> GitChange {
        let marks = Array(letters)
        return GitChange(
            path: String(path),
            staged: marks.count == 2 ? kind(marks[0]) : nil,
            unstaged: marks.count == 2 ? kind(marks[1]) : nil
        )
    }

    static func kind(_ letter: Character) -> GitChange.Kind? {
        switch letter {
        case "M": .modified
        case "A": .added
        case "D": .deleted
        case "R": .renamed
        case "C": .copied
        case "T": .typeChanged
        default: nil
        }
    }

    // MARK: Differences

    /// Of `git diff --raw --numstat -z`: first an entry for every file, then its counts, in the same order.
    public static func files(_ output: [UInt8]) -> [GitDiff.File] {
        var files: [GitDiff.File] = []
        var counts: [String: (Int?, Int?)] = [:]
        var entries = output.split(separator: 0, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }.makeIterator()
        while let entry = entries.next() {
            if entry.hasPrefix(":") {
                let letter = entry.split(separator: " ").last?.first ?? "M"
                guard let kind = kind(letter), let first = entries.next() else { continue }
                if kind == .renamed || kind == .copied {
                    guard let second = entries.next() else { continue }
                    files.append(.init(path: second, previousPath: first, kind: kind))
                } else {
                    files.append(.init(path: first, kind: kind))
                }
                continue
            }
            let parts = entry.split(separator: "\t", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            var path = String(parts[2])
            // Of a rename the two names follow.
            if path.isEmpty {
                _ = entries.next()
                path = entries.next() ?? ""
            }
            counts[path] = (Int(parts[0]), Int(parts[1]))
        }
        return files.map { file in
            var file = file
            (file.additions, file.deletions) = counts[file.path] ?? (nil, nil)
            return file
        }
    }

    /// Each file's own part of a patch, in order. A line of content never begins so: it has a mark before it.
    public static func patches(_ output: [UInt8]) -> [String] {
        let mark = Array("diff --git ".utf8)
        var starts: [Int] = []
        var line = 0
        while line < output.count {
            if output[line...].starts(with: mark) { starts.append(line) }
            guard let end = output[line...].firstIndex(of: UInt8(ascii: "\n")) else { break }
            line = end + 1
        }
        return starts.enumerated().map { index, start in
            let end = index + 1 < starts.count ? starts[index + 1] : output.count
            return String(decoding: output[start..<end], as: UTF8.self)
        }
    }

    // MARK: Commits and branches

    static let logFormat = "%H%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%s%x1f%b"

    /// Of `git log -z --format=` ``logFormat``.
    public static func commits(_ output: [UInt8]) -> [GitCommit] {
        output.split(separator: 0).compactMap { entry in
            let parts = String(decoding: entry, as: UTF8.self)
                .split(separator: "\u{1f}", maxSplits: 6, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 7 else { return nil }
            return GitCommit(
                id: parts[0],
                parents: parts[1].split(separator: " ").map(String.init),
                authorName: parts[2],
                authorEmail: parts[3],
                authoredAt: parts[4],
                subject: parts[5],
                body: parts[6].trimmed
            )
        }
    }

    static let branchFormat =
        "%(refname)%1f%(objectname)%1f%(HEAD)%1f%(upstream:short)%1f%(worktreepath)%1f%(symref)%1f%(subject)"

    /// Of `git for-each-ref --format=` ``branchFormat``, one line for each.
    /// - Parameter checkout: absolute; a branch that is checked out there is the current one, not one elsewhere.
    public static func branches(_ output: [UInt8], checkout: String) -> [GitBranch] {
        output.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let parts = String(decoding: line, as: UTF8.self)
                .split(separator: "\u{1f}", maxSplits: 6, omittingEmptySubsequences: false).map(String.init)
            // `origin/HEAD` is another name for one of the others.
            guard parts.count == 7, parts[5].isEmpty else { return nil }
            let isRemote = parts[0].hasPrefix("refs/remotes/")
            let name = parts[0].split(separator: "/", maxSplits: 2).last.map(String.init) ?? parts[0]
            return GitBranch(
                name: name,
                commit: parts[1],
                isCurrent: parts[2] == "*",
                isRemote: isRemote,
                upstream: parts[3].isEmpty ? nil : parts[3],
                checkedOutAt: parts[4].isEmpty || parts[2] == "*" || parts[4] == checkout ? nil : parts[4],
                subject: parts[6]
            )
        }
    }

    /// The files that a message of git's lists, each on a line that begins with a tab.
    static func listedFiles(_ text: String) -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("\t") }.map { String($0).trimmed }
    }
}
