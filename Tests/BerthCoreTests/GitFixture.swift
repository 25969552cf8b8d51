import Base
import BerthCore
import Domain
import EventLoop
import FoundationEssentials
import TestSupport

/// A place of its own for one test: remotes, a cache, a root for workspaces.
final class GitFixture: Sendable {
    let directory: TemporaryDirectory
    let runner = DirectRunner()
    let git: Git
    let maker: CheckoutMaker
    let loop: EventLoop

    init(connectDeadline: Duration = .seconds(10)) throws {
        directory = try TemporaryDirectory("git")
        for name in ["cache", "home", "workspaces", "remotes", "run"] {
            try FileManager.default.createDirectory(
                atPath: directory.file(name),
                withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700]
            )
        }
        loop = try EventLoop(name: "git-test")
        loop.start()
        git = Git(
            Git.Configuration(
                agentHome: directory.file("home"),
                cacheDirectory: directory.file("cache"),
                credentialHelper: "!'\(BuiltProduct.path("berth-worker"))' git-credential",
                connectDeadline: connectDeadline
            ),
            runner: runner
        )
        maker = CheckoutMaker(git: git, root: directory.file("workspaces"))
        try git.prepareCache()
    }

    deinit { loop.stop() }

    /// git as the test itself uses it, for making remotes and looking at results.
    @discardableResult
    func run(_ arguments: String..., in path: String) async throws -> String {
        try await check(
            ["git", "-c", "user.name=Tester", "-c", "user.email=tester@example.org"] + arguments,
            environment: ["PATH": "/usr/bin:/bin", "HOME": directory.file("home"), "LC_ALL": "C"],
            directory: path
        )
    }

    /// A bare remote with two commits on `main`, a tag `v1` on the first, and a branch `feature/odd@name` on the second.
    func remote(_ name: String = "project.git") async throws -> String {
        let bare = directory.file("remotes/\(name)")
        let work = directory.file("remotes/\(name).work")
        try await run("init", "--quiet", "--bare", "-b", "main", bare, in: directory.path)
        try await run("clone", "--quiet", bare, work, in: directory.path)
        try await commit("one\n", as: "First", in: work)
        try await run("tag", "-a", "-m", "one", "v1", in: work)
        try await commit("two\n", as: "Second", in: work)
        try await run("branch", "feature/odd@name", in: work)
        try await run("push", "--quiet", "origin", "--all", in: work)
        try await run("push", "--quiet", "origin", "--tags", in: work)
        return bare
    }

    /// Writes `README.md` and commits it.
    func commit(_ text: String, as subject: String, in work: String) async throws {
        try Data(text.utf8).write(to: URL(filePath: "\(work)/README.md"))
        try await run("add", "--all", in: work)
        try await run("commit", "--quiet", "-m", subject, in: work)
    }

    func mirror(_ url: String, socket: String? = nil, account: String = "test") throws -> Mirror {
        Mirror(url: try GitURL(url), account: account, git: git, credentialSocket: socket)
    }

    func request(_ url: String, base: String? = nil, branch: String = "berth/task", directory: String = "project")
        -> WorkspaceRequest
    {
        WorkspaceRequest(
            workspaceID: IDSource(time: SystemTime(), randomness: SystemRandomness()).make(),
            directory: directory,
            repositoryURL: url,
            baseReference: base,
            branch: branch
        )
    }
}
