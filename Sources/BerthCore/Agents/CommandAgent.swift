public import Base

/// An argument vector, run as it is. A prompt, where there is one, is its standard input.
public struct CommandAgent: AgentAdapter {
    public init() {}

    public func launch(_ request: AgentRequest, variables: Set<String>) throws(BerthError) -> AgentLaunch {
        guard let command = request.command, let program = command.first, !program.isEmpty else {
            throw BerthError(
                .missingField,
                "a command agent needs a command",
                field: "agent.command",
                remedy: "give the program and its arguments"
            )
        }
        guard command.allSatisfy({ !$0.utf8.contains(0) }) else {
            throw BerthError(.invalidValue, "an argument contains a NUL byte", field: "agent.command")
        }
        return AgentLaunch(
            arguments: command,
            input: request.prompt.isEmpty ? nil : Array(request.prompt.utf8),
            defaults: [:],
            removed: []
        )
    }
}
