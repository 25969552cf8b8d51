import Base
import BerthCore
import Domain
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// Checkouts from their beginning to their end: whatever happens, nothing that a person made is lost.
@Suite struct WorkspaceLifeTests {
    private func write(_ text: String, to path: String) throws { try Data(text.utf8).write(to: URL(filePath: path)) }

    @Test func `a checkout borrows the mirror's objects`() async throws {
        let place = try GitFixture()
        let remote = try await place.remote()
        let mirror = try place.mirror(remote)
        let checkout = try await place.maker.make(place.request(remote), from: mirror)
        let packs = try await place.run("count-objects", "-v", in: checkout.path)
        #expect(packs.contains("count: 0\n") && packs.contains("in-pack: 0\n"), "\(packs)")
        #expect(packs.contains("alternate: \(mirror.path)/objects"))
        #expect(try await place.run("fsck", "--connectivity-only", in: checkout.path).contains("missing") == false)
        #expect(try await place.run("log", "--format=%s", in: checkout.path) == "Second\nFirst")
    }

    @Test func `archiving names what would be lost, and loses nothing of what git holds`() async throws {
        let place = try GitFixture()
        let remote = try await place.remote()
        let mirror = try place.mirror(remote)
        let request = place.request(remote)
        let checkout = try await place.maker.make(request, from: mirror)
        try await place.commit("three\n", as: "Third", in: checkout.path)
        try await place.run("branch", "aside", in: checkout.path)
        try write("stashed\n", to: "\(checkout.path)/README.md")
        try await place.run("stash", in: checkout.path)
        try write("changed\n", to: "\(checkout.path)/README.md")
        try write("new\n", to: "\(checkout.path)/new file.txt")
        let refused = try await place.maker.archive(request, in: mirror, commitLeftovers: false, force: false)
        #expect(!refused.isRemoved)
        #expect(refused.losses == ["changed: README.md", "untracked: new file.txt"])
        #expect(access(checkout.path, F_OK) == 0)

        let end = try await place.maker.archive(request, in: mirror, commitLeftovers: true, force: false)
        #expect(end.isRemoved && end.commit != nil)
        #expect(access(checkout.path, F_OK) != 0)
        // Again, as after a death behind the removal.
        #expect(try await place.maker.archive(request, in: mirror, commitLeftovers: false, force: false).isRemoved)

        let back = try await place.maker.make(request, from: mirror)
        #expect(try await place.run("rev-parse", "HEAD", in: back.path) == end.commit)
        #expect(try await place.run("show", "HEAD:new file.txt", in: back.path) == "new")
        #expect(try await place.run("branch", "--format=%(refname:short)", in: back.path) == "aside\nberth/task")
        #expect(try await place.run("show", "stash@{0}:README.md", in: back.path) == "stashed")
        #expect(try await place.run("status", "--porcelain", in: back.path) == "")
        _ = try await place.maker.archive(request, in: mirror, commitLeftovers: false, force: false)
        try await mirror.forget(request.workspaceID)
        #expect(try await place.run("for-each-ref", "refs/berth/kept", in: mirror.path) == "")
    }

    @Test func `a workspace begins with another one's commits`() async throws {
        let place = try GitFixture()
        let remote = try await place.remote()
        let mirror = try place.mirror(remote)
        let parent = try await place.maker.make(place.request(remote), from: mirror)
        try await place.commit("three\n", as: "Third", in: parent.path)
        var request = place.request(remote, branch: "berth/child", directory: "child")
        request.setup = WorkspaceSetup(parentDirectory: "project")
        let child = try await place.maker.make(request, from: mirror)
        #expect(try await place.run("log", "-1", "--format=%s", in: child.path) == "Third")
        #expect(try await place.run("branch", "--show-current", in: child.path) == "berth/child")
        request.directory = "orphan"
        request.setup = WorkspaceSetup(parentDirectory: "nowhere")
        let orphan = request
        let error = await #expect(throws: BerthError.self) { try await place.maker.make(orphan, from: mirror) }
        #expect(error?.code == .notFound && error?.field == "from")
    }

    @Test func `a working tree is adopted in place and left as it is`() async throws {
        let place = try GitFixture()
        let remote = try await place.remote()
        let work = "\(place.directory.path)/remotes/project.git.work"
        try write("dirty\n", to: "\(work)/README.md")
        let before = try await check(["sh", "-c", "find . -type f | sort | xargs sha256sum"], directory: work)
        let maker = CheckoutMaker(git: place.git, root: place.directory.file("workspaces"), allowsInPlace: true)
        let request = place.request(remote, branch: "main", directory: work)
        let checkout = try await maker.make(request, from: try place.mirror(remote))
        #expect(checkout.path == work && checkout.branch == "main" && checkout.warnings.isEmpty)
        let end = try await maker.archive(request, in: try place.mirror(remote), commitLeftovers: false, force: false)
        #expect(end.isRemoved)
        #expect(try await check(["sh", "-c", "find . -type f | sort | xargs sha256sum"], directory: work) == before)

        let walled = await #expect(throws: BerthError.self) {
            try await place.maker.make(request, from: try place.mirror(remote))
        }
        #expect(walled?.code == .unsupported)
        let within = place.request(remote, branch: "main", directory: place.directory.path)
        let none = await #expect(throws: BerthError.self) {
            try await maker.make(within, from: try place.mirror(remote))
        }
        #expect(none?.code == .invalidPath)
    }
}
