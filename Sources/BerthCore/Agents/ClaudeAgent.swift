public import Base
internal import Domain

/// The Claude CLI in print mode (origins 4.3; checked with CLI 2.1.327). The prompt is standard input, so it is in no
/// process list and has no length limit of an argument.
public struct ClaudeAgent: AgentAdapter {
    public init() {}

    public func launch(_ request: AgentRequest, variables: Set<String>) throws(BerthError) -> AgentLaunch {
        guard !request.prompt.trimmed.isEmpty else {
            throw BerthError(.missingField, "the agent needs a task", field: "prompt", remedy: "say what is to be done")
        }
        var arguments = [
            "claude", "-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "bypassPermissions",
        ]
        func add(_ option: String, _ value: String?) { if let value { arguments += [option, value] } }
        add("--model", request.model)
        add("--max-turns", request.caps.maxTurns.map(String.init))
        add("--max-budget-usd", request.caps.maxCostUSD.map { String($0) })
        add("--resume", request.resumeAgentSessionID)
        for (name, value) in [("model", request.model), ("resumeAgentSessionId", request.resumeAgentSessionID)] {
            guard let value else { continue }
            guard !value.isEmpty, !value.looksLikeOption, !value.utf8.contains(0) else {
                throw BerthError(.invalidValue, "'\(value.prefix(80))' is not a usable value", field: "agent.\(name)")
            }
        }
        return AgentLaunch(
            arguments: arguments,
            input: Array(request.prompt.utf8),
            defaults: Self.defaults,
            // A subscription's token is used instead of a key, never beside one.
            removed: Self.foreign + (variables.contains("CLAUDE_CODE_OAUTH_TOKEN") ? ["ANTHROPIC_API_KEY"] : [])
        )
    }

    private static let defaults = [
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "FORCE_COLOR": "0",
        "NO_COLOR": "1",
        // The CLI refuses bypassPermissions as root unless told that the machine is meant for it.
        "IS_SANDBOX": "1",
    ]

    /// Marks of a Claude that this one does not run inside.
    private static let foreign = ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT"]
}
