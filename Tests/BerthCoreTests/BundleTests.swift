import Base
import BerthCore
import Domain
import FoundationEssentials
import TestSupport
import Testing

@Suite struct BundleTests {
    private static let name = "local:app-0123456789ab"

    /// A person's own repository with two commits on `main` and a tag, and a bundle of it.
    private static func repository(_ place: GitFixture, detached: Bool = false) async throws -> (
        path: String, bundle: String
    ) {
        let path = place.directory.file("mine")
        try await place.run("init", "--quiet", "-b", "main", path, in: place.directory.path)
        try await place.commit("one\n", as: "First", in: path)
        try await place.run("tag", "-a", "-m", "one", "v1", in: path)
        try await place.commit("two\n", as: "Second", in: path)
        if detached {
            try await place.run("checkout", "--quiet", "--detach", in: path)
            try await place.commit("three\n", as: "Third", in: path)
        }
        let bundle = place.directory.file("upload.bundle")
        try await place.run("bundle", "create", "--quiet", bundle, "--branches", "--tags", "HEAD", in: path)
        return (path, bundle)
    }

    private static func mirror(_ place: GitFixture, _ bundle: String?) throws -> Mirror {
        Mirror(url: try GitURL(name), account: "test", git: place.git, access: .plain, bundle: bundle)
    }

    @Test func `a repository that came as a bundle is checked out and its branch goes back`() async throws {
        let place = try GitFixture()
        let (mine, bundle) = try await Self.repository(place)
        let mirror = try Self.mirror(place, bundle)
        let checkout = try await place.maker.make(place.request(Self.name), from: mirror)
        #expect(text(of: checkout.path + "/README.md") == "two\n")
        try place.directory.write("new\n", to: "workspaces/project/new.txt")
        let outcome = try await place.maker.result(of: checkout, commitLeftovers: true, task: "Add new")
        let head = try #require(outcome.headCommit)
        let result = place.directory.file("result.bundle")
        let mark = try #require(try await place.maker.bundle(head, of: checkout, to: result))
        #expect(mark.bytes == Int64(try Data(contentsOf: URL(filePath: result)).count))
        #expect(mark.sha256 == (try await check(["sha256sum", result])).prefix(64))
        try await place.run("fetch", "--quiet", result, "berth/task:berth/task", in: mine)
        #expect(try await place.run("rev-parse", "berth/task", in: mine) == head)
        #expect(try await place.run("log", "--format=%s", "main..berth/task", in: mine) == "Add new")
        let left = try FileManager.default.contentsOfDirectory(atPath: place.directory.path)
        #expect(!left.contains { $0.hasSuffix(".part") || $0.hasSuffix(".git") })
    }

    @Test(arguments: [nil, "v1", "main"]) func `a detached head is where a task starts unless told otherwise`(
        base: String?
    )
        async throws
    {
        let place = try GitFixture()
        let (_, bundle) = try await Self.repository(place, detached: true)
        let mirror = try Self.mirror(place, bundle)
        let checkout = try await place.maker.make(place.request(Self.name, base: base), from: mirror)
        #expect(text(of: checkout.path + "/README.md") == (base == nil ? "three\n" : base == "v1" ? "one\n" : "two\n"))
    }

    @Test func `an earlier task's commits come along until the remote has them`() async throws {
        let place = try GitFixture()
        let (mine, bundle) = try await Self.repository(place)
        let mirror = try Self.mirror(place, bundle)
        let result = place.directory.file("result.bundle")
        for count in 1...2 {
            let checkout = try await place.maker.make(place.request(Self.name), from: mirror)
            try await place.commit("\(count) more\n", as: "Task \(count)", in: checkout.path)
            let outcome = try await place.maker.result(of: checkout, commitLeftovers: true, task: "x")
            #expect(outcome.commits.map(\.subject) == ["Task \(count)"])
            let head = try #require(outcome.headCommit)
            _ = try await place.maker.bundle(head, of: checkout, to: result)
        }
        try await place.run("fetch", "--quiet", result, "berth/task:berth/task", in: mine)
        #expect(try await place.run("log", "--format=%s", "main..berth/task", in: mine) == "Task 2\nTask 1")
    }

    @Test func `nothing new makes no bundle`() async throws {
        let place = try GitFixture()
        let (_, bundle) = try await Self.repository(place)
        let mirror = try Self.mirror(place, bundle)
        let checkout = try await place.maker.make(place.request(Self.name), from: mirror)
        let head = try #require(checkout.baseCommit)
        let result = place.directory.file("result.bundle")
        #expect(try await place.maker.bundle(head, of: checkout, to: result) == nil)
    }

    @Test func `an empty repository gets its first branch`() async throws {
        let place = try GitFixture()
        let mine = place.directory.file("mine")
        try await place.run("init", "--quiet", mine, in: place.directory.path)
        let mirror = try Self.mirror(place, nil)
        let checkout = try await place.maker.make(place.request(Self.name), from: mirror)
        try place.directory.write("x\n", to: "workspaces/project/a.txt")
        let outcome = try await place.maker.result(of: checkout, commitLeftovers: true, task: "Begin")
        let result = place.directory.file("result.bundle")
        let head = try #require(outcome.headCommit)
        _ = try await place.maker.bundle(head, of: checkout, to: result)
        try await place.run("fetch", "--quiet", result, "berth/task:berth/task", in: mine)
        #expect(try await place.run("show", "berth/task:a.txt", in: mine) == "x")
    }

    @Test func `a file that is no bundle is refused in words`() async throws {
        let place = try GitFixture()
        let file = try place.directory.write("nothing\n", to: "upload.bundle")
        let error = await #expect(throws: BerthError.self) {
            try await place.maker.make(place.request(Self.name), from: Self.mirror(place, file))
        }
        #expect(error?.message.contains(Self.name) == true)
        #expect(error?.message.contains(place.directory.path) == false, "\(error?.message ?? "")")
    }

    @Test func `a commit on no branch can be the base`() async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let work = url + ".work"
        try await place.run("checkout", "--quiet", "--detach", in: work)
        try await place.commit("aside\n", as: "Aside", in: work)
        try await place.run("push", "--quiet", "origin", "HEAD:refs/pull/1/head", in: work)
        let commit = try await place.run("rev-parse", "HEAD", in: work)
        let checkout = try await place.maker.make(place.request(url, base: commit), from: place.mirror(url))
        #expect(text(of: checkout.path + "/README.md") == "aside\n")
    }

    @Test func `a local repository takes no push`() async throws {
        let place = try GitFixture()
        let mirror = try Self.mirror(place, nil)
        let error = await #expect(throws: BerthError.self) { try await mirror.push("x", of: "/", as: "x") }
        #expect(error?.code == .unsupported)
    }
}

@Suite struct MirrorTurnTests {
    @Test func `many tasks in one repository at once do not trip over each other`() async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    let request = place.request(url, branch: "berth/\(number)", directory: "project-\(number)")
                    let mirror = try place.mirror(url)
                    let checkout = try await place.maker.make(request, from: mirror)
                    try await place.commit("\(number)\n", as: "Task \(number)", in: checkout.path)
                    let outcome = try await place.maker.result(of: checkout, commitLeftovers: true, task: "x")
                    try await mirror.push(try #require(outcome.headCommit), of: checkout.path, as: "berth/\(number)")
                }
            }
            try await group.waitForAll()
        }
        let branches = try await place.run("for-each-ref", "--format=%(refname)", "refs/heads/berth", in: url)
        #expect(branches.split(separator: "\n").count == 8)
    }

    @Test func `a task that is cancelled while it waits for the mirror leaves at once`() async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let mirror = try place.mirror(url)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<6 { group.addTask { try await mirror.update() } }
            try await group.next()
            group.cancelAll()
            while let result = await group.nextResult() {
                if case .failure(let error) = result { #expect(error is CancellationError || error is BerthError) }
            }
        }
        try await mirror.update()
    }
}
