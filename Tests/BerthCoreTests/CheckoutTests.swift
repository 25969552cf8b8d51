import Base
import BerthCore
import Domain
import FoundationEssentials
import TestSupport
import Testing

@Suite struct CheckoutTests {
    @Test func `a task gets a branch of its own on the default branch`() async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let checkout = try await place.maker.make(place.request(url), from: place.mirror(url))
        #expect(text(of: checkout.path + "/README.md") == "two\n")
        #expect(try await place.run("branch", "--show-current", in: checkout.path) == "berth/task")
        #expect(try await place.run("remote", "get-url", "origin", in: checkout.path) == url)
        #expect(try await place.run("rev-parse", "origin/main", in: checkout.path) == checkout.baseCommit)
        #expect(checkout.warnings.isEmpty)
    }

    @Test(arguments: ["v1", "feature/odd@name", "refs/heads/main", "SHORT", "FULL"])
    func `a branch, a tag or a commit can be the base`(base: String) async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let first = try await place.run("rev-parse", "v1^{commit}", in: url)
        let name = base == "SHORT" ? String(first.prefix(8)) : base == "FULL" ? first : base
        let checkout = try await place.maker.make(place.request(url, base: name), from: place.mirror(url))
        let expected = base == "v1" || base == "SHORT" || base == "FULL" ? "one\n" : "two\n"
        #expect(text(of: checkout.path + "/README.md") == expected)
        #expect(try await place.run("branch", "--show-current", in: checkout.path) == "berth/task")
    }

    @Test(arguments: ["nope", "0123456789abcdef0123456789abcdef01234567", "abcdef0"])
    func `a base that is not there is refused and the branches are named`(base: String) async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let error = await #expect(throws: BerthError.self) {
            try await place.maker.make(place.request(url, base: base), from: place.mirror(url))
        }
        #expect(error?.code == .reference)
        #expect(error?.remedy?.contains("feature/odd@name, main") == true)
    }

    @Test func `an empty repository begins with the task's branch`() async throws {
        let place = try GitFixture()
        let url = place.directory.file("remotes/empty.git")
        try await place.run("init", "--quiet", "--bare", url, in: place.directory.path)
        let checkout = try await place.maker.make(place.request(url), from: place.mirror(url))
        #expect(checkout.baseCommit == nil)
        try place.directory.write("x\n", to: "workspaces/project/a.txt")
        let outcome = try await place.maker.result(of: checkout, commitLeftovers: true, task: "Begin")
        #expect(outcome.commits.map(\.subject) == ["Begin"])
        #expect(outcome.files == [.init(path: "a.txt", additions: 1, deletions: 0)])
        let error = await #expect(throws: BerthError.self) {
            try await place.maker.make(
                place.request(url, base: "main", directory: "other"),
                from: place.mirror(url)
            )
        }
        #expect(error?.code == .repositoryEmpty)
    }

    @Test(arguments: ["", "-x", "a b", "a..b", "a~1", "refs/heads/x", "HEAD", "@{-1}", "a.lock", "x/", "\u{7}"])
    func `a name that git does not take for a branch is refused`(branch: String) async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let error = await #expect(throws: BerthError.self) {
            try await place.maker.make(place.request(url, branch: branch), from: place.mirror(url))
        }
        #expect(error?.code == .invalidValue)
        #expect(error?.field == "workspace.branch")
    }

    @Test(arguments: ["féature/ünï", "a@b#c", "quote'\"x", "emoji-🚀", "x;rm -rf"].dropLast())
    func `odd names that git takes work`(branch: String) async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let checkout = try await place.maker.make(place.request(url, branch: branch), from: place.mirror(url))
        #expect(try await place.run("symbolic-ref", "--short", "HEAD", in: checkout.path) == branch)
    }

    @Test func `the next task goes on in the checkout that is there`() async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let first = try await place.maker.make(place.request(url), from: place.mirror(url))
        try place.directory.write("kept\n", to: "workspaces/project/kept.txt")
        try await place.commit("three\n", as: "Third", in: first.path)
        let second = try await place.maker.make(place.request(url), from: place.mirror(url))
        #expect(second.baseCommit != first.baseCommit)
        #expect(text(of: second.path + "/kept.txt") == "kept\n")
        let other = try await place.remote("other.git")
        let error = await #expect(throws: BerthError.self) {
            try await place.maker.make(place.request(other), from: place.mirror(other))
        }
        #expect(error?.code == .conflict)
    }

    @Test func `the result names commits, changed files and a binary`() async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let checkout = try await place.maker.make(place.request(url), from: place.mirror(url))
        try await place.commit("one\ntwo\n", as: "Change – with \"quotes\"", in: checkout.path)
        try Data([0, 1, 2, 0]).write(to: URL(filePath: checkout.path + "/with space.bin"))
        let outcome = try await place.maker.result(of: checkout, commitLeftovers: true, task: "Add a file\nmore")
        #expect(outcome.commits.map(\.subject) == ["Change – with \"quotes\"", "Add a file"])
        #expect(outcome.files.map(\.path) == ["README.md", "with space.bin"])
        #expect(outcome.files.map(\.additions) == [1, nil])
        #expect(try await place.run("log", "-1", "--format=%an <%ae>", in: checkout.path) == "Berth <berth@localhost>")
        #expect(outcome.headCommit == outcome.commits.last?.id)
    }

    @Test func `pointers of large files are told of`() async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let work = url + ".work"
        let pointer =
            "version https://git-lfs.github.com/spec/v1\noid sha256:\(String(repeating: "a", count: 64))\nsize 5\n"
        try Data(pointer.utf8).write(to: URL(filePath: work + "/large.bin"))
        try Data("*.bin filter=lfs diff=lfs merge=lfs -text\n".utf8).write(to: URL(filePath: work + "/.gitattributes"))
        try await place.commit("lfs\n", as: "Large", in: work)
        try await place.run("push", "--quiet", "--no-verify", "origin", "main", in: work)
        let checkout = try await place.maker.make(place.request(url), from: place.mirror(url))
        #expect(checkout.warnings.count == 1)
        #expect(checkout.warnings.first?.contains("1 file is kept in Git LFS") == true)
        #expect(text(of: checkout.path + "/large.bin") == pointer)
    }

    @Test func `hooks that an agent leaves run neither at the commit nor at the push`() async throws {
        let place = try GitFixture()
        let url = try await place.remote()
        let mirror = try place.mirror(url)
        let checkout = try await place.maker.make(place.request(url), from: mirror)
        let trap = place.directory.file("trapped")
        for hook in ["pre-commit", "post-commit", "pre-push", "post-checkout", "reference-transaction"] {
            let path = try place.directory.write(
                "#!/bin/sh\necho \(hook) >>'\(trap)'\n",
                to: "workspaces/project/.git/hooks/\(hook)"
            )
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        try place.directory.write("x\n", to: "workspaces/project/x")
        let outcome = try await place.maker.result(of: checkout, commitLeftovers: true, task: "x")
        let head = try #require(outcome.headCommit)
        try await mirror.push(head, of: checkout.path, as: "berth/task")
        #expect(try await place.run("rev-parse", "berth/task", in: url) == head)
        #expect(text(of: trap) == "")
    }
}
