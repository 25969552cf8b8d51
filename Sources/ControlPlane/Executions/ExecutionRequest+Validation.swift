public import Base
import Domain

/// Sizes that the server accepts.
public enum ExecutionLimits {
    /// 8 MiB.
    public static let promptBytes = 8 << 20
    /// Linux refuses a single argument above 128 KiB (execve(2), MAX_ARG_STRLEN).
    public static let argumentBytes = 131_071
    public static let commandBytes = 1 << 20
    public static let variables = 1000
    public static let variableBytes = 131_071
    public static let environmentBytes = 1 << 20
    public static let idempotencyKeyBytes = 255
}

extension NewExecution {
    /// Throws for the first thing at fault, naming its field and the way out.
    public func validate() throws(BerthError) {
        try validateAgent()
        try spec.caps.validate()
        try validatePrompt()
        try validateVariables()
        if let directory = spec.workingDirectory {
            try Self.text(directory, field: "workingDirectory", limit: 4096)
            guard directory.hasPrefix("/") else {
                throw BerthError(
                    .invalidPath,
                    "'\(directory.prefix(80))' is not absolute",
                    field: "workingDirectory",
                    remedy: "give the path from '/' on, as it is inside the environment"
                )
            }
        }
        if let model = spec.model { try Self.text(model, field: "model", limit: 200) }
        if let session = spec.resumeAgentSessionID {
            try Self.text(session, field: "resumeAgentSessionId", limit: 200)
        }
        if let personaID { try Self.text(personaID, field: "personaId", limit: 200) }
        if let key = idempotencyKey {
            try Self.text(key, field: "Idempotency-Key", limit: ExecutionLimits.idempotencyKeyBytes)
        }
        if let workspace = spec.workspace { _ = try BranchName(workspace.branch, field: "repository.branch") }
    }

    private func validateAgent() throws(BerthError) {
        switch spec.agent {
        case .command:
            guard let command, let program = command.first, !program.isEmpty else {
                throw BerthError(
                    .missingField,
                    "the command is empty",
                    field: "command",
                    remedy: "give the program and its arguments: [\"ls\", \"-l\"]"
                )
            }
            var total = 0
            for (index, argument) in command.enumerated() {
                guard argument.utf8.count <= ExecutionLimits.argumentBytes else {
                    throw BerthError(
                        .tooLarge,
                        "it has \(argument.utf8.count) bytes",
                        field: "command[\(index)]",
                        remedy:
                            "one argument may have \(ExecutionLimits.argumentBytes) bytes; use the prompt, which is "
                            + "the command's standard input"
                    )
                }
                try Self.noNUL(argument, field: "command[\(index)]")
                total += argument.utf8.count + 1
            }
            guard total <= ExecutionLimits.commandBytes else {
                throw BerthError(
                    .tooLarge,
                    "the arguments have \(total) bytes together",
                    field: "command",
                    remedy: "allowed: \(ExecutionLimits.commandBytes) bytes"
                )
            }
            guard spec.caps.maxTurns == nil, spec.caps.maxCostUSD == nil else {
                throw BerthError(
                    .invalidValue,
                    "a command has no turns and no cost",
                    field: spec.caps.maxTurns == nil ? "config.maxCostUsd" : "config.maxTurns",
                    remedy: "use config.timeoutMs"
                )
            }
        case .claude:
            guard command == nil else {
                throw BerthError(
                    .invalidValue,
                    "the agent 'claude' takes a prompt, not a command",
                    field: "command",
                    remedy: "leave it out, or use the agent 'command'"
                )
            }
            guard !prompt.utf8.allSatisfy({ $0 <= 0x20 }) else {
                throw BerthError(
                    .missingField,
                    "the prompt is empty",
                    field: "prompt",
                    remedy: "say what is to be done"
                )
            }
        default:
            throw BerthError(
                .invalidValue,
                "'\(spec.agent.rawValue.prefix(80))' is no agent known here",
                field: "agent",
                remedy: "known: \(AgentKind.known.map(\.rawValue).joined(separator: ", "))"
            )
        }
    }

    private func validatePrompt() throws(BerthError) {
        guard prompt.utf8.count <= ExecutionLimits.promptBytes else {
            throw BerthError(
                .tooLarge,
                "the prompt has \(prompt.utf8.count) bytes",
                field: "prompt",
                remedy: "allowed: \(ExecutionLimits.promptBytes) bytes (8 MiB); put more into a file of the repository"
            )
        }
        try Self.noNUL(prompt, field: "prompt")
    }

    private func validateVariables() throws(BerthError) {
        let variables = environment.reveal().sorted { $0.key < $1.key }
        guard variables.count <= ExecutionLimits.variables else {
            throw BerthError(
                .tooLarge,
                "\(variables.count) variables are too many",
                field: "env",
                remedy: "allowed: \(ExecutionLimits.variables)"
            )
        }
        var total = 0
        for (name, value) in variables {
            guard Self.isVariableName(name) else {
                throw BerthError(
                    .invalidValue,
                    "'\(name.prefix(80))' is no name of a variable",
                    field: "env",
                    remedy: "names are letters, digits and '_', and do not begin with a digit"
                )
            }
            guard !name.hasPrefix("BERTH_") else {
                throw BerthError(
                    .invalidValue,
                    "\(name.prefix(80)) is set by Berth itself",
                    field: "env.\(name.prefix(80))",
                    remedy: "choose a name that does not begin with BERTH_"
                )
            }
            guard value.utf8.count <= ExecutionLimits.variableBytes else {
                throw BerthError(
                    .tooLarge,
                    "its value has \(value.utf8.count) bytes",
                    field: "env.\(name)",
                    remedy: "allowed: \(ExecutionLimits.variableBytes) bytes"
                )
            }
            try Self.noNUL(value, field: "env.\(name)")
            total += name.utf8.count + value.utf8.count + 2
        }
        guard total <= ExecutionLimits.environmentBytes else {
            throw BerthError(
                .tooLarge,
                "the variables have \(total) bytes together",
                field: "env",
                remedy: "allowed: \(ExecutionLimits.environmentBytes) bytes"
            )
        }
    }

    private static func isVariableName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.count <= 200
            && name.unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || $0 == "_" || ("0"..."9").contains($0))
            }
    }

    private static func text(_ text: String, field: String, limit: Int) throws(BerthError) {
        guard !text.isEmpty, text.utf8.count <= limit else {
            throw BerthError(
                .invalidValue,
                "it has \(text.utf8.count) bytes",
                field: field,
                remedy: "allowed: 1 to \(limit) bytes"
            )
        }
        try noNUL(text, field: field)
    }

    private static func noNUL(_ text: String, field: String) throws(BerthError) {
        guard !text.utf8.contains(0) else {
            throw BerthError(.invalidValue, "it contains a NUL byte", field: field, remedy: "remove the NUL byte")
        }
    }
}
