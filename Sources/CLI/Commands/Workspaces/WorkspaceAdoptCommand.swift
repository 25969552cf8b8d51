import API
import Base
import Client
import Domain
import Glibc

/// `berth ws adopt`.
enum WorkspaceAdoptCommand {
    static let command = Command(
        path: ["ws", "adopt"],
        summary: "Make a workspace of a working tree of this machine, with everything that is not committed.",
        operands: [Operand(name: "PATH", count: .one, about: "a working tree of git, such as '.'")],
        options: [
            .value("name", "NAME", "1 to 60 of a-z, 0-9, -, _ and .; default: words of its branch."),
            SharedOptions.environment,
            SharedOptions.provider,
            SharedOptions.image,
        ] + SharedOptions.remoteLogin + [
            .flag("detach", short: "d", "Return at once; the set-up goes on.")
        ],
        examples: [
            Example(line: "berth ws adopt .", about: "A copy: branches, stashes, index, changed and untracked files"),
            Example(line: "berth ws adopt ~/src/app -e here", about: "In place, where 'here' has provider host"),
        ],
        discussion: """
            In an environment with provider host the working tree is used where it lies: nothing is copied or changed. In
            any other its state is copied, ignored files left out; the working tree here stays as it is.
            """,
        run: run
    )

    static func run(_ arguments: ParsedArguments, _ terminal: Terminal) async throws -> Int32 {
        let repository = try LocalRepository(arguments.operands[0], field: "PATH", environment: terminal.environment)
        guard !repository.isBare else {
            throw BerthError(
                .invalidPath,
                "\(repository.path) is a bare repository: it has no working tree",
                field: "PATH",
                remedy: "give a working tree, or make a workspace of it: berth ws create \(repository.path)"
            )
        }
        var body = CreateWorkspace()
        body.name = arguments.text("name")
        body.environment = arguments.text("environment")
        body.provider = try SharedOptions.provider(arguments, terminal: terminal)
        body.image = arguments.text("image")
        return try await ServerSession.with(arguments, terminal) { [body] session in
            let isInPlace = try await session.isHost(body)
            let made =
                isInPlace
                ? try session.inPlace(repository, body) : try await session.copied(repository, body, arguments)
            let workspace: Workspace = try await session.client.call(.workspaceCreate, body: made)
            return try await session.followSetup(workspace, isDetached: arguments.has("detach"))
        }
    }
}

extension ServerSession {
    /// Whether the environment that is asked for has no wall around it.
    fileprivate func isHost(_ body: CreateWorkspace) async throws -> Bool {
        if let provider = body.provider { return provider == .host }
        guard let name = body.environment, name != "new" else { return false }
        let environment: API.Environment = try await client.call(.environmentGet, path: ["environmentId": name])
        return environment.spec.provider == .host
    }

    fileprivate func inPlace(_ repository: LocalRepository, _ body: CreateWorkspace) throws -> CreateWorkspace {
        var body = body
        guard let real = realpath(repository.path, nil) else {
            throw BerthError(.notFound, "there is no \(repository.path)", field: "PATH")
        }
        defer { free(real) }
        let path = String(cString: real)
        let branch = try repository.git("symbolic-ref", "--quiet", "--short", "HEAD")
        body.path = path
        body.repository = CreateExecution.Checkout(url: path, branch: branch.succeeded ? branch.text : nil)
        return body
    }

    fileprivate func copied(_ repository: LocalRepository, _ body: CreateWorkspace, _ arguments: ParsedArguments)
        async throws -> CreateWorkspace
    {
        var body = body
        let (state, upload) = try await PrivateFolder.withFile(terminal.environment) { file in
            let state = try WorkingTreeState.capture(repository, into: file)
            var status = stat()
            guard fstat(file, &status) == 0 else { throw BerthError(.unavailable, "git made no bundle") }
            say("sending \(repository.path) (\(SizeText.text(Int64(status.st_size))))…")
            return (state, try await client.upload(file, bytes: Int64(status.st_size)).id)
        }
        let url = state.remote ?? repository.name
        body.state = state.state
        body.repository = CreateExecution.Checkout(
            url: url,
            upload: upload,
            branch: state.branch ?? "berth/adopted-\(state.state.head.prefix(7))"
        )
        if state.remote != nil {
            body.gitCredentials = try Input.gitLogin(arguments, url: url, terminal: terminal).map { [$0] }
            body.ssh = try Input.sshLogin(arguments, url: url)
        }
        return body
    }
}
