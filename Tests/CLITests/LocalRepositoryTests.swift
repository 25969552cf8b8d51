import Base
import FoundationEssentials
import TestSupport
import Testing

@testable import CLI

@Suite struct LocalRepositoryTests {
    private static let environment = ChildProcess.plainEnvironment

    @discardableResult
    private static func git(_ path: String, _ arguments: String...) async throws -> String {
        try await check(["git", "-C", path, "-c", "user.name=t", "-c", "user.email=t@localhost"] + arguments)
    }

    private static func repository(_ directory: TemporaryDirectory, _ name: String = "app") async throws -> String {
        let path = directory.file(name)
        try directory.write("one\n", to: "\(name)/README.md")
        try await git(path, "init", "-q", "-b", "main")
        try await git(path, "add", ".")
        try await git(path, "commit", "-qm", "First")
        return path
    }

    private static func commit(_ path: String, _ subject: String) async throws -> String {
        try await git(path, "commit", "-q", "--allow-empty", "-m", subject)
        return try await git(path, "rev-parse", "HEAD")
    }

    @Test(arguments: [
        (".", true), ("..", true), ("./x", true), ("/srv/x", true), ("~/x", true), ("file:///srv/x", true),
        ("https://host/x", false), ("git@host:x", false), ("ssh://host/x", false), ("no-such-directory", false),
        ("host:path", false),
    ]) func `a path is told from a URL`(text: String, isPath: Bool) {
        #expect(LocalRepository.isPath(text) == isPath)
    }

    @Test func `every way into one repository has one name, and no path in it`() async throws {
        let directory = try TemporaryDirectory("local")
        let path = try await Self.repository(directory, "my äpp.git")
        try await Self.git(path, "worktree", "add", "-q", directory.file("linked"))
        try directory.write("x", to: "my äpp.git/deep/x")
        let names = try [path, path + "/", path + "/deep", directory.file("linked"), "file://\(path)"].map {
            try LocalRepository($0, field: "--repo", environment: Self.environment).name
        }
        #expect(Set(names).count == 1)
        #expect(names[0].hasPrefix("local:my--pp-"), "\(names[0])")
        let other = try await Self.repository(directory, "other")
        #expect(try LocalRepository(other, field: "--repo", environment: Self.environment).name != names[0])
    }

    @Test func `a base is a name where it has one, else a commit`() async throws {
        let directory = try TemporaryDirectory("local")
        let path = try await Self.repository(directory)
        let first = try await Self.git(path, "rev-parse", "HEAD")
        _ = try await Self.commit(path, "Second")
        try await Self.git(path, "tag", "v1", first)
        try await Self.git(path, "update-ref", "refs/remotes/origin/next", first)
        let repository = try LocalRepository(path, field: "--repo", environment: Self.environment)
        #expect(try repository.base("main") == "main")
        #expect(try repository.base("v1") == "v1")
        #expect(try repository.base("HEAD~1") == first)
        #expect(try repository.base(String(first.prefix(8))) == first)
        #expect(try repository.base("origin/next") == first)
        for name in ["nope", "--all", "-x"] {
            let error = #expect(throws: BerthError.self) { try repository.base(name) }
            #expect(error?.code == .reference)
            #expect(error?.remedy?.contains("main") == true)
        }
    }

    @Test func `a branch comes in under its name, or the next that is free`() async throws {
        let directory = try TemporaryDirectory("local")
        let path = try await Self.repository(directory)
        let work = directory.file("work")
        try await check(["git", "clone", "-q", path, work])
        let bundle = directory.file("bundle")
        let repository = try LocalRepository(path, field: "--into", environment: Self.environment)
        func take(_ branch: String, from start: String = "main") async throws -> ReturnedBranch {
            try await Self.git(work, "checkout", "-q", "-B", branch, start)
            _ = try await Self.commit(work, "Task on \(branch)")
            try await Self.git(work, "bundle", "create", "-q", bundle, "refs/heads/\(branch)", "--not", "origin/main")
            return try ReturnedBranch.take(bundle, branch: branch, into: repository)
        }
        let first = try await take("task/ünï")
        #expect(first == ReturnedBranch(name: "task/ünï", reason: nil, isKnown: false))
        let onward = try await take("task/ünï", from: "task/ünï")
        #expect(onward == ReturnedBranch(name: "task/ünï", reason: nil, isKnown: false))
        let known = try ReturnedBranch.take(bundle, branch: "task/ünï", into: repository)
        #expect(known.isKnown)

        let diverged = try await take("task/ünï")
        #expect(diverged.name == "task/ünï-2")
        #expect(diverged.reason?.contains("other commits") == true)
        try await Self.git(path, "branch", "-q", "room", "main")
        let roomless = try await take("room/inside")
        #expect(roomless.name == "room-inside")
        #expect(roomless.reason?.contains("no room") == true)
        let crowded = try await take("main")
        #expect(crowded.name == "main-2")
        #expect(crowded.reason?.contains("checked out") == true)
        #expect(try await Self.git(path, "status", "--porcelain") == "")
        #expect(try await Self.git(path, "branch", "--show-current") == "main")
    }

    @Test func `a branch whose beginning is not here is refused with the way out`() async throws {
        let directory = try TemporaryDirectory("local")
        let path = try await Self.repository(directory)
        let work = directory.file("work")
        try await check(["git", "clone", "-q", path, work])
        _ = try await Self.commit(work, "Not in the other one")
        try await Self.git(work, "checkout", "-qb", "task")
        _ = try await Self.commit(work, "Task")
        let bundle = directory.file("bundle")
        try await Self.git(work, "bundle", "create", "-q", bundle, "task", "--not", "main")
        let repository = try LocalRepository(path, field: "--into", environment: Self.environment)
        let error = #expect(throws: BerthError.self) {
            try ReturnedBranch.take(bundle, branch: "task", into: repository)
        }
        #expect(error?.code == .conflict)
        #expect(error?.remedy?.contains("git fetch") == true)
        #expect(try await Self.git(path, "branch", "--format=%(refname:short)") == "main")
    }

    @Test func `what is not committed is counted`() async throws {
        let directory = try TemporaryDirectory("local")
        let path = try await Self.repository(directory)
        let repository = try LocalRepository(path, field: "--repo", environment: Self.environment)
        #expect(try repository.leftBehind() == nil)
        try directory.write("two\n", to: "app/README.md")
        #expect(try repository.leftBehind() == "1 changed file")
        try await Self.git(path, "mv", "README.md", "READ ME.md")
        try directory.write("x", to: "app/new/x")
        #expect(try repository.leftBehind() == "1 changed file and 1 untracked file or directory")
    }
}
