import API
import Base
import Client
import Domain

/// `berth ws create`.
enum WorkspaceCreateCommand {
    static let command = Command(
        path: ["ws", "create"],
        summary: "Make a workspace: a checkout with a branch of its own, set up as its repository says.",
        operands: [Operand(name: "REPOSITORY", count: .optional, about: "URL, or a path on this machine ('.')")],
        options: options,
        examples: [
            Example(line: "berth ws create https://github.com/me/app --name login", about: "From its default branch"),
            Example(line: "berth ws create --issue https://github.com/me/app/issues/7", about: "For an issue"),
            Example(line: "berth ws create --from login --name login-2", about: "From another one's commits"),
            Example(
                line: "berth ws create . -e new",
                about: "This directory's repository, in an environment of its own"
            ),
        ],
        discussion: """
            The repository's berth.json says what is run to set it up; without one, the files of other tools do: see
            'berth ws import-config'. The set-up's output is shown and kept: 'berth ws log'.
            """,
        run: run
    )

    static let options: [Option] =
        [
            .value("name", "NAME", "1 to 60 of a-z, 0-9, -, _ and .; default: words of what it is about."),
            .value("description", "TEXT", "A person's words."),
            .value("issue", "URL", "A GitHub issue; its repository unless another is given."),
            .value("from", "WORKSPACE", "Begin with another workspace's commits."),
            .value("base", "REF", "Branch, tag or commit to start from; default: the remote's default branch."),
            .value("branch", "NAME", "Its branch; one that the remote has is gone on with. Default: one of its own."),
        ] + SharedOptions.remoteLogin + [
            SharedOptions.environment,
            SharedOptions.provider,
            SharedOptions.image,
            .value("env", "NAME=VALUE", "Variable of its programs.", repeats: true),
            .value(
                "secret",
                "NAME",
                "Secret variable: NAME takes it from this shell, NAME=@FILE from a file, NAME=- from stdin.",
                repeats: true
            ),
            .value("auto-stop", "MINUTES", "Of an environment of its own: 5 to 480 without use until it rests."),
            .value("auto-sync", "ON", "Whether it looks at its remote by itself; default on.", choices: ["on", "off"]),
            .value("timeout", "TIME", "For checkout and set-up script together; default 30m."),
            .flag("detach", short: "d", "Return at once; the set-up goes on."),
        ]

    static func run(_ arguments: ParsedArguments, _ terminal: Terminal) async throws -> Int32 {
        let body = try body(arguments, terminal)
        var local: LocalRepository?
        if let url = arguments.operands.first, LocalRepository.isPath(url) {
            local = try LocalRepository(url, field: "REPOSITORY", environment: terminal.environment)
        }
        return try await ServerSession.with(arguments, terminal) { [local] session in
            var body = body
            if let text = body.issueUrl {
                let issue = try IssueURL(text, field: "--issue")
                switch await GitHubIssue.read(issue, terminal) {
                case .success(let read):
                    body.issueTitle = read.title
                    body.description = body.description ?? read.text
                case .failure(let reason):
                    session.say("the issue's text was not read: \(reason.message)")
                }
            }
            if let local {
                var checkout = CreateExecution.Checkout(
                    url: local.name,
                    base: arguments.text("base"),
                    branch: arguments.text("branch")
                )
                checkout = try await session.send(local, checkout)
                body.repository = checkout
            }
            let workspace: Workspace = try await session.client.call(.workspaceCreate, body: body)
            return try await session.followSetup(workspace, isDetached: arguments.has("detach"))
        }
    }

    private static func body(_ arguments: ParsedArguments, _ terminal: Terminal) throws -> CreateWorkspace {
        var body = CreateWorkspace()
        body.name = arguments.text("name")
        body.description = arguments.text("description")
        body.environment = arguments.text("environment")
        body.provider = try SharedOptions.provider(arguments, terminal: terminal)
        body.image = arguments.text("image")
        body.issueUrl = arguments.text("issue")
        body.from = arguments.text("from")
        body.variables = try Input.variables(arguments, terminal: terminal)
        body.autoStopMinutes = try arguments.integer("auto-stop", in: 5...480)
        body.cloudSyncEnabled = try arguments.choice("auto-sync", of: ["on", "off"]).map { $0 == "on" }
        body.setupTimeoutMs = try arguments.milliseconds("timeout")
        let url = arguments.operands.first
        guard url != nil || body.issueUrl != nil || body.from != nil else {
            throw BerthError(
                .usage,
                "there is nothing to check out",
                field: "REPOSITORY",
                remedy: "give a repository, --issue URL or --from WORKSPACE"
            )
        }
        if url != nil || arguments.text("base") != nil || arguments.text("branch") != nil {
            body.repository = CreateExecution.Checkout(
                url: url ?? "",
                base: arguments.text("base"),
                branch: arguments.text("branch")
            )
        }
        if let url, !LocalRepository.isPath(url) {
            body.gitCredentials = try Input.gitLogin(arguments, url: url, terminal: terminal).map { [$0] }
            body.ssh = try Input.sshLogin(arguments, url: url)
        }
        return body
    }
}
