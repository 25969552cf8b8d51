import Base
import BerthCore
import FoundationEssentials
import TestSupport
import Testing
import WorkspaceTypes

/// What a person does with git in a workspace's checkout, with the real git.
@Suite struct WorkspaceGitTests {
    private struct Place {
        var fixture: GitFixture
        var url: String
        var mirror: Mirror
        var git: WorkspaceGit

        func write(_ text: String, to name: String) throws {
            try fixture.directory.write(text, to: "workspaces/project/\(name)")
        }

        func text(_ name: String) throws -> String {
            try String(contentsOfFile: "\(git.path)/\(name)", encoding: .utf8)
        }

        /// A commit at the remote by somebody else.
        func remoteCommit(_ text: String, branch: String = "main") async throws {
            let work = fixture.directory.file("remotes/project.git.work")
            try await fixture.run("checkout", "--quiet", "-B", branch, in: work)
            try await fixture.commit(text, as: "Theirs", in: work)
            try await fixture.run("push", "--quiet", "origin", "HEAD:\(branch)", in: work)
        }
    }

    private func place() async throws -> Place {
        let fixture = try GitFixture()
        let url = try await fixture.remote()
        let mirror = try fixture.mirror(url)
        let checkout = try await fixture.maker.make(fixture.request(url, branch: "main"), from: mirror)
        return Place(
            fixture: fixture,
            url: url,
            mirror: mirror,
            git: WorkspaceGit(git: fixture.git, path: checkout.path)
        )
    }

    @Test func `the status tells staged, unstaged, new, renamed and odd names apart`() async throws {
        let place = try await place()
        let odd = " odd \"name\"\twith\nlines ü"
        try place.write("a\nb\nc\nd\n", to: "old.txt")
        try place.write("x", to: "both.txt")
        _ = try await place.git.commit("Begin", includesAll: true, paths: [], amends: false, runsHooks: true)
        try await place.fixture.run("mv", "old.txt", "new.txt", in: place.git.path)
        try place.write("y", to: "both.txt")
        try await place.fixture.run("add", "both.txt", in: place.git.path)
        try place.write("z", to: "both.txt")
        try place.write("n", to: odd)
        let status = try await place.git.status()
        #expect(status.branch == "main")
        #expect(status.operation == nil)
        #expect(
            Set(status.changes.map(\.path)) == ["new.txt", "both.txt", odd]
        )
        let renamed = try #require(status.changes.first { $0.path == "new.txt" })
        #expect(renamed.staged == .renamed)
        #expect(renamed.previousPath == "old.txt")
        let both = try #require(status.changes.first { $0.path == "both.txt" })
        #expect((both.staged, both.unstaged) == (.modified, .modified))
        #expect(status.changes.first { $0.path == odd }?.isUntracked == true)
    }

    @Test func `differences have counts and patches, and too long ones only counts`() async throws {
        let place = try await place()
        try place.write("one\ntwo\n", to: "a.txt")
        try place.write("diff --git a/x b/x\n", to: "b.txt")
        _ = try await place.git.commit("Two files", includesAll: true, paths: [], amends: false, runsHooks: true)
        try place.write("one\n2\n3\n", to: "a.txt")
        try place.write("other\n", to: "b.txt")
        try await place.fixture.run("add", "b.txt", in: place.git.path)
        let unstaged = try await place.git.diff("unstaged", against: nil, path: nil, patchBytes: 1 << 20)
        #expect(unstaged.files.map(\.path) == ["a.txt"])
        #expect((unstaged.additions, unstaged.deletions) == (2, 1))
        #expect(unstaged.files.first?.patch?.contains("\n-two\n+2\n+3\n") == true)
        let staged = try await place.git.diff("staged", against: nil, path: nil, patchBytes: 1 << 20)
        #expect(staged.files.map(\.path) == ["b.txt"])
        let head = try await place.git.diff("head", against: nil, path: nil, patchBytes: 1 << 20)
        #expect(head.files.map(\.path) == ["a.txt", "b.txt"])
        #expect(head.files.last?.patch?.hasPrefix("diff --git a/b.txt b/b.txt") == true)
        let base = try await place.git.diff("base", against: "main", path: nil, patchBytes: 1 << 20)
        #expect(base.files.map(\.kind) == [.added, .added])
        #expect(base.base != nil)
        #expect(try await place.git.diff("head", against: nil, path: "b.txt", patchBytes: 0).files.count == 1)
        try place.write(String(repeating: "long\n", count: 100_000), to: "a.txt")
        let long = try await place.git.diff("unstaged", against: nil, path: nil, patchBytes: 10_000)
        #expect(long.isTruncated)
        #expect(long.files.first?.additions == 100_000)
        #expect(long.files.first?.patch == nil)
        await #expect(throws: BerthError.self) {
            _ = try await place.git.diff("base", against: "--output=x", path: nil, patchBytes: 0)
        }
    }

    @Test func `a commit takes what it is told, hooks run, and nothing is a clear error`() async throws {
        let place = try await place()
        try place.write("a", to: "a.txt")
        try place.write("b", to: "b.txt")
        let one = try await place.git.commit(
            "Only a\n\nWhy.",
            includesAll: false,
            paths: ["a.txt"],
            amends: false,
            runsHooks: true
        )
        #expect((one.subject, one.body) == ("Only a", "Why."))
        #expect(try await place.git.status().changes.map(\.path) == ["b.txt"])
        await expect(.conflict) {
            _ = try await place.git.commit("No", includesAll: false, paths: [], amends: false, runsHooks: true)
        }
        await expect(.notFound) {
            _ = try await place.git.commit("No", includesAll: false, paths: ["none"], amends: false, runsHooks: true)
        }
        try place.fixture.directory.write(
            "#!/bin/sh\necho no >&2; exit 1\n",
            to: "workspaces/project/.git/hooks/pre-commit"
        )
        try await check(["chmod", "+x", "\(place.git.path)/.git/hooks/pre-commit"])
        await expect(.conflict) {
            _ = try await place.git.commit("b", includesAll: true, paths: [], amends: false, runsHooks: true)
        }
        let two = try await place.git.commit("b", includesAll: true, paths: [], amends: false, runsHooks: false)
        let log = try await place.git.log(nil, path: nil, skip: 0, limit: 2)
        #expect(log.items.map(\.id) == [two.id, one.id])
        #expect(log.isTruncated)
        #expect(log.items.first?.parents == [one.id])
    }

    @Test func `branches are made and checked out, and one that is checked out elsewhere is named`() async throws {
        let place = try await place()
        _ = try await place.git.change(to: "topic", creates: true, checksOut: false, start: nil)
        let other = place.fixture.directory.file("other")
        try await place.fixture.run("worktree", "add", "--quiet", other, "topic", in: place.git.path)
        let error = await expect(.conflict) {
            _ = try await place.git.change(to: "topic", creates: false, checksOut: true, start: nil)
        }
        #expect(error?.message.contains(other) == true)
        #expect(error?.remedy != nil)
        let branches = try await place.git.branches().items
        #expect(branches.first { $0.name == "topic" }?.checkedOutAt == other)
        #expect(branches.first { $0.name == "main" }?.isCurrent == true)
        #expect(branches.contains { $0.name == "origin/feature/odd@name" && $0.isRemote })
        let status = try await place.git.change(to: "mine", creates: true, checksOut: true, start: "origin/main")
        #expect(status.branch == "mine")
        await expect(.reference) {
            _ = try await place.git.change(to: "none", creates: false, checksOut: true, start: nil)
        }
        await expect(.conflict) {
            _ = try await place.git.change(to: "mine", creates: true, checksOut: true, start: nil)
        }
    }

    @Test func `a pull goes forward, merges, and leaves everything where it was when it cannot`() async throws {
        let place = try await place()
        func pull(keeps: Bool = false) async throws -> GitPull {
            try await place.git.pull(from: place.mirror, branch: nil, keepsConflicts: keeps)
        }
        #expect(try await pull().result == .upToDate)
        try await place.remoteCommit("three\n")
        #expect(try await pull().result == .fastForwarded)
        #expect(try place.text("README.md") == "three\n")

        // Beside other changes, theirs and ours.
        try place.write("ours\n", to: "ours.txt")
        _ = try await place.git.commit("Ours", includesAll: true, paths: [], amends: false, runsHooks: true)
        try place.write("not committed\n", to: "loose.txt")
        try await place.remoteCommit("four\n")
        let merged = try await pull()
        #expect(merged.result == .merged)
        #expect(try place.text("README.md") == "four\n")
        #expect(try place.text("loose.txt") == "not committed\n")

        // What is not committed stands in the way.
        try place.write("mine, not committed\n", to: "README.md")
        try await place.remoteCommit("five\n")
        let dirty = try await pull()
        #expect(dirty.result == .dirty)
        #expect(dirty.files == ["README.md"])
        #expect(try place.text("README.md") == "mine, not committed\n")

        // Both sides changed it.
        _ = try await place.git.commit("Mine", includesAll: true, paths: [], amends: false, runsHooks: true)
        let before = try await place.git.status()
        let conflict = try await pull()
        #expect(conflict.result == .conflict)
        #expect(conflict.files == ["README.md"])
        #expect(conflict.remedy?.contains("--keep-conflicts") == true)
        #expect(try await place.git.status().head == before.head)
        #expect(try place.text("README.md") == "mine, not committed\n")

        let kept = try await pull(keeps: true)
        #expect(kept.result == .conflict)
        let status = try await place.git.status()
        #expect(status.operation == "merge")
        #expect(status.conflicts == ["README.md"])
        await expect(.conflict) { _ = try await pull() }
        await expect(.conflict) {
            _ = try await place.git.commit("No", includesAll: false, paths: [], amends: false, runsHooks: true)
        }
        try place.write("both\n", to: "README.md")
        _ = try await place.git.commit("Resolved", includesAll: true, paths: [], amends: false, runsHooks: true)
        #expect(try await pull().result == .upToDate)
    }

    @Test func `a push is refused while the remote has more, and goes after a pull`() async throws {
        let place = try await place()
        try place.write("ours\n", to: "ours.txt")
        let commit = try await place.git.commit("Ours", includesAll: true, paths: [], amends: false, runsHooks: true)
        try await place.remoteCommit("three\n")
        let error = await expect(.pushRejected) { _ = try await place.git.push(to: place.mirror, as: nil) }
        #expect(error?.remedy?.contains("berth git pull") == true)
        #expect(try await place.git.pull(from: place.mirror, branch: nil, keepsConflicts: false).result == .merged)
        let pushed = try await place.git.push(to: place.mirror, as: nil)
        #expect(pushed.branch == "main")
        #expect(try await place.fixture.run("rev-parse", "main", in: place.url) == pushed.commit)
        let status = try await place.git.status()
        #expect((status.upstream, status.ahead, status.behind) == ("origin/main", 0, 0))
        let other = try await place.git.push(to: place.mirror, as: "review/ours")
        #expect(other.branch == "review/ours")
        #expect(
            try await place.fixture.run("branch", "--list", "--contains", commit.id, in: place.url).contains(
                "review/ours"
            )
        )
    }

    @discardableResult
    private func expect(_ code: ErrorCode, _ body: () async throws -> Void) async -> BerthError? {
        do {
            try await body()
            Issue.record("nothing was refused")
            return nil
        } catch {
            let known = BerthError(wrapping: error)
            #expect(known.code == code, "\(known) \(known.detail ?? "")")
            return known
        }
    }
}
