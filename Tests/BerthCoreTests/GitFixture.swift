import Base
import BerthCore
import Domain
import EventLoop
import Glibc
import Synchronization
import TestSupport

/// A place of its own for one test: a git server, a cache, a root for workspaces.
final class GitFixture: Sendable {
    let directory: TemporaryDirectory
    let git: Git
    let maker: CheckoutMaker
    let loop: EventLoop

    init(connectDeadline: Duration = .seconds(10)) throws {
        let directory = try TemporaryDirectory()
        self.directory = directory
        for name in ["cache", "home", "workspaces", "remotes", "run"] { mkdir("\(directory.path)/\(name)", 0o700) }
        loop = try EventLoop(name: "git-test")
        loop.start()
        let seen = Seen()
        self.recorder = seen
        let runner = DirectRunner(directory: "\(directory.path)/run", spy: { seen.add($0) })
        git = Git(
            Git.Configuration(
                agentHome: "\(directory.path)/home",
                cacheDirectory: "\(directory.path)/cache",
                credentialHelper: "!'\(ProgramLocation.path("berth-worker"))' git-credential",
                connectDeadline: connectDeadline
            ),
            runner: runner
        )
        maker = CheckoutMaker(git: git, root: "\(directory.path)/workspaces")
        try git.prepareCache()
    }

    private let recorder: Seen
    var commands: [ProcessCommand] { recorder.all }

    deinit { loop.stop() }

    /// Runs git as the test itself, for making remotes and looking at results.
    @discardableResult
    func run(_ arguments: String..., in path: String) async throws -> String {
        let command = ProcessCommand(
            ["git", "-c", "user.name=Tester", "-c", "user.email=tester@example.org"] + arguments,
            environment: ["PATH": "/usr/bin:/bin", "HOME": "\(directory.path)/home", "LC_ALL": "C"],
            directory: path,
            identity: .agent
        )
        let result = try await DirectRunner(directory: "\(directory.path)/run").run(command)
        guard result.succeeded else { throw BerthError(.internal, "\(arguments): \(result.errorText)") }
        return result.outputText.trimmed
    }

    /// A bare remote with two commits on `main`, a tag `v1` on the first, and a branch `feature/odd@name` on the second.
    func remote(_ name: String = "project.git") async throws -> String {
        let bare = "\(directory.path)/remotes/\(name)"
        let work = "\(directory.path)/remotes/\(name).work"
        try await run("init", "--quiet", "--bare", "-b", "main", bare, in: directory.path)
        try await run("clone", "--quiet", bare, work, in: directory.path)
        write("one\n", to: "\(work)/README.md")
        try await run("add", ".", in: work)
        try await run("commit", "--quiet", "-m", "First", in: work)
        try await run("tag", "-a", "-m", "one", "v1", in: work)
        write("two\n", to: "\(work)/README.md")
        try await run("commit", "--quiet", "-am", "Second", in: work)
        try await run("branch", "feature/odd@name", in: work)
        try await run("push", "--quiet", "origin", "--all", in: work)
        try await run("push", "--quiet", "origin", "--tags", in: work)
        return bare
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

    func write(_ text: String, to path: String) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        _ = Array(text.utf8).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        close(file)
    }

    func read(_ path: String) -> String { String(decoding: contents(path), as: UTF8.self) }
}

final class Seen: Sendable {
    private let commands = Mutex<[ProcessCommand]>([])

    func add(_ command: ProcessCommand) { commands.withLock { $0.append(command) } }
    var all: [ProcessCommand] { commands.withLock { $0 } }
}
