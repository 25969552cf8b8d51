import API
import Base
import Client
import Domain

/// `berth run`: a task for an agent, followed to its end.
enum RunCommand {
    static let command = Command(
        path: ["run"],
        summary: "Give an agent a task and watch it work.",
        operands: [Operand(name: "TASK", count: .optional, about: "what to do; '-' or none reads standard input")],
        options: options,
        examples: [
            Example(
                line: #"berth run --repo https://github.com/me/app --secret ANTHROPIC_API_KEY "fix the failing test""#,
                about: "A task in a repository, with the key taken from this shell's environment"
            ),
            Example(
                line: #"berth run --repo . "fix the failing test""#,
                about: "In the repository of this directory; the branch appears in it at the end"
            ),
            Example(
                line:
                    "berth run --ssh-key ~/.ssh/deploy --repo git@github.com:me/app --branch fix/login --push --timeout 30m < task.md",
                about: "The task from a file; the branch is pushed at the end"
            ),
            Example(line: #"berth run --detach "tidy the workspace""#, about: "Do not wait; see berth logs -f"),
        ],
        discussion: """
            Ctrl-C cancels the run; with --detach the command returns at once and the run goes on.
            Exits with the agent's own status; see 'berth help exit-codes'.
            """,
        run: run
    )

    static let options: [Option] =
        [
            .value("repo", "URL", "Repository: a path on this machine ('.'), https://…, ssh://… or user@host:path."),
            .value("workspace", short: "w", "NAME", "A workspace to work in, in place of a repository."),
            .value("base", "REF", "Branch, tag or commit to start from; default: the remote's default branch."),
            .value("branch", "NAME", "Branch for the task; default: one named after it."),
            .flag("push", "Push the branch when the run ends (a repository of this machine gets it anyway)."),
            .value(
                "agent",
                "KIND",
                "Who does it: claude (the default), or command, which gives the task to a shell.",
                choices: AgentKind.known.map(\.rawValue)
            ),
            .value("model", "NAME", "The agent's model."),
            .value("max-cost", "USD", "Stop when the agent has cost this many US dollars."),
            .value("max-turns", "N", "Stop after this many turns."),
            .value("resume", "SESSION", "Continue the agent's own conversation."),
        ] + SharedOptions.remoteLogin + SharedOptions.placement + SharedOptions.run

    static func run(_ arguments: ParsedArguments, _ terminal: Terminal) async throws -> Int32 {
        var request = CreateExecution()
        let task = arguments.operands.first
        request.prompt = try task == nil || task == "-" ? Input.standardInput(for: "the task") : task
        request.agent = try arguments.choice("agent", of: AgentKind.known.map(\.rawValue)).map {
            AgentKind(rawValue: $0)
        }
        // Before a repository is sent for nothing.
        if request.prompt?.trimmed.isEmpty ?? true {
            throw BerthError(
                .usage,
                "the task is empty",
                field: "TASK",
                remedy: "say what is to be done, as an argument or on standard input"
            )
        }
        if request.agent == .command, let task = request.prompt {
            request.command = ["sh", "-c", task]
            request.prompt = nil
        }
        request.model = arguments.text("model")
        request.resumeAgentSessionId = arguments.text("resume")
        request.workspace = arguments.text("workspace")
        var local: LocalRepository?
        if let url = arguments.text("repo") {
            if LocalRepository.isPath(url) {
                local = try LocalRepository(url, field: "--repo", environment: terminal.environment)
                try refuseRemoteOptions(arguments)
            }
            request.repository = CreateExecution.Checkout(
                url: url,
                base: arguments.text("base"),
                branch: arguments.text("branch"),
                push: arguments.has("push") ? true : nil
            )
            request.gitCredentials = try Input.gitLogin(arguments, url: url, terminal: terminal).map { [$0] }
            request.ssh = try Input.sshLogin(arguments, url: url)
        } else {
            for name in ["base", "branch", "git-secret", "ssh-key", "known-hosts"] where arguments.text(name) != nil {
                throw BerthError(.usage, "the option needs a repository", field: "--\(name)", remedy: "add --repo URL")
            }
        }
        try SharedOptions.apply(arguments, to: &request, terminal: terminal)
        request.config?.maxCostUsd = try arguments.number("max-cost")
        request.config?.maxTurns = try arguments.integer("max-turns", in: 1...100_000)
        let isClaude = (request.agent ?? .claude) == .claude
        let mode: FollowMode = isClaude ? .agent : .raw
        let isDetached = arguments.has("detach")
        return try await ServerSession.with(arguments, terminal) { [request, local] session in
            guard let local, let checkout = request.repository else {
                return try await session.runAndFollow(request, as: mode, isDetached: isDetached)
            }
            var request = request
            request.repository = try await session.send(local, checkout)
            return try await session.runAndFollow(request, as: mode, isDetached: isDetached, returningTo: local)
        }
    }

    private static func refuseRemoteOptions(_ arguments: ParsedArguments) throws(BerthError) {
        guard !arguments.has("push") else {
            throw BerthError(
                .usage,
                "a repository of this machine is not pushed to",
                field: "--push",
                remedy: "leave it out: the branch appears in the repository by itself when the run ends"
            )
        }
        for name in ["git-user", "git-secret", "ssh-key", "known-hosts"] where arguments.text(name) != nil {
            throw BerthError(
                .usage,
                "a repository of this machine needs no credential",
                field: "--\(name)",
                remedy: "leave it out, or give the repository's URL"
            )
        }
    }
}
