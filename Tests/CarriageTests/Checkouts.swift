import Base
import Carriage
import FoundationEssentials
import Glibc
import TestSupport

/// Checkouts of one repository on two machines: directories with a home and a root of workspaces each.
struct Checkouts {
    let folder: TemporaryDirectory
    var origin: String { folder.file("origin.git") }

    init() throws { folder = try TemporaryDirectory("carriage") }

    func root(_ side: String) -> String { folder.file("\(side)/workspaces") }
    func home(_ side: String) -> String { folder.file("\(side)/home") }
    func checkout(_ side: String) -> String { root(side) + "/app" }

    /// A repository with some commits, and a clone of it on the machine `a`.
    func begin() async throws {
        for side in ["a", "b"] {
            for path in [root(side), home(side)] {
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            }
        }
        let seed = folder.file("seed")
        try folder.write("one\ntwo\nthree\n", to: "seed/code.txt")
        try folder.write("#!/bin/sh\n", to: "seed/run.sh")
        try folder.write("*.log\nbuild/\n", to: "seed/.gitignore")
        try await check(["git", "init", "-q", "-b", "main", seed])
        try await git(seed, "add", ".")
        try await git(seed, "commit", "-qm", "seed")
        try await check(["git", "clone", "-q", "--bare", seed, origin])
        try await check(["git", "clone", "-q", origin, checkout("a")])
    }

    @discardableResult
    func git(_ directory: String, _ arguments: String...) async throws -> String {
        try await check(
            ["git", "-C", directory, "-c", "user.name=t", "-c", "user.email=t@localhost"] + arguments
        )
    }

    func write(_ text: String, _ side: String, _ name: String) throws {
        try folder.write(text, to: "\(side)/workspaces/app/\(name)")
    }

    /// Everything at once: a half-done branch, staged hunks, unstaged ones, untracked files, links, modes, stashes.
    func makeDirty(_ side: String) async throws {
        let place = checkout(side)
        try await git(place, "checkout", "-qb", "feature")
        try await git(place, "config", "branch.feature.remote", "origin")
        try await git(place, "config", "branch.feature.merge", "refs/heads/main")
        try write("one\ntwo\nthree\nstashed\n", side, "code.txt")
        try write("untracked in a stash\n", side, "stashed.txt")
        try await git(place, "stash", "push", "-q", "-u", "-m", "first")
        try write("zero\none\ntwo\nthree\n", side, "code.txt")
        try await git(place, "stash", "push", "-q", "-m", "second")
        try write("a commit of its own\n", side, "half.txt")
        try await git(place, "add", "half.txt")
        try await git(place, "commit", "-qm", "half done")
        try write("ONE\ntwo\nthree\n", side, "code.txt")
        try await git(place, "add", "code.txt")
        try write("ONE\ntwo\nTHREE\n", side, "code.txt")
        try write("intended\n", side, "intended.txt")
        try await git(place, "add", "-N", "intended.txt")
        try write("untracked\n", side, "new dir/ünt\"racked.txt")
        chmod(place + "/run.sh", 0o755)
        try await git(place, "rm", "-q", "--cached", "half.txt")
        symlink("../nowhere", place + "/link")
        try write("ignored\n", side, "build/out.log")
    }

    /// Packs on one side.
    func pack(_ side: String, known: [String] = [], includesIgnored: Bool = false, limit: Int64 = 1 << 20) throws
        -> (file: String, summary: PackSummary)
    {
        let file = try folder.write("", to: "\(side).pack")
        let summary = try Packer.pack(
            PackOrder(
                checkout: checkout(side),
                home: home(side),
                programs: "/usr/local/bin:/usr/bin:/bin",
                file: file,
                known: known,
                includesIgnored: includesIgnored,
                ignoredLimit: limit,
                limit: 1 << 30
            )
        )
        let end = open(file, O_WRONLY | O_APPEND)
        defer { close(end) }
        try EntryWriter(end).put(.end)
        return (file, summary)
    }

    func order(_ side: String, _ file: String, token: String = "ho_1", mirror: String? = nil, twin: String? = nil)
        -> RestoreOrder
    {
        RestoreOrder(
            file: file,
            root: root(side),
            directory: "app",
            token: token,
            home: home(side),
            programs: "/usr/local/bin:/usr/bin:/bin",
            mirror: mirror,
            twin: twin
        )
    }

    /// All that must be the same on both sides, as text.
    func portrait(_ side: String) async throws -> String {
        let place = checkout(side)
        var text = ""
        for arguments in [
            ["status", "--porcelain=v2", "--branch", "--untracked-files=all"], ["ls-files", "-s", "-v"],
            ["diff"], ["diff", "--cached"], ["stash", "list"], ["stash", "show", "-p", "-u", "stash@{0}"],
            ["stash", "show", "-p", "-u", "stash@{1}"], ["for-each-ref"], ["log", "--all", "--oneline"],
            ["config", "--get-regexp", "^(branch|remote)[.]"],
        ] {
            text += "# \(arguments.joined(separator: " "))\n"
            text += (try? await check(["git", "-C", place] + arguments)) ?? "(fails)"
            text += "\n"
        }
        let files = try await check(
            ["find", ".", "-path", "./.git", "-prune", "-o", "!", "-type", "d", "-printf", "%p %M %l\n"],
            directory: place
        )
        text += files.split(separator: "\n").sorted().joined(separator: "\n") + "\n"
        text += try await check(
            ["sh", "-c", "find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum"],
            directory: place
        )
        return text
    }
}
