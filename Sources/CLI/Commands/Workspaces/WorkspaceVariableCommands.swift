import API
import Base
import Client

/// `ws env …`.
enum WorkspaceVariableCommands {
    static let all = [set, list, remove]

    private static let set = Command(
        path: ["ws", "env", "set"],
        summary: "Set variables of a workspace's programs; sealed at rest, never shown again.",
        operands: [
            WorkspaceCommands.workspace,
            Operand(
                name: "VARIABLES",
                count: .rest,
                about: "NAME=VALUE; NAME takes it from this shell, NAME=@FILE from a file, NAME=- from stdin"
            ),
        ],
        examples: [
            Example(line: "berth ws env set login DATABASE_URL", about: "From this shell, so that no history holds it"),
            Example(line: "berth ws env set login STAGE=dev KEY=@key.txt", about: "Two at once"),
        ]
    ) { arguments, terminal in
        var variables: [String: String] = [:]
        for text in arguments.operands.dropFirst() {
            let (name, value) = try Input.secret(text, field: "VARIABLES", terminal: terminal)
            variables[name] = value
        }
        return try await ServerSession.with(arguments, terminal) { [variables] session in
            let names: VariableNames = try await session.client.call(
                .workspaceVariablesSet,
                path: ["workspaceId": arguments.operands[0]],
                body: SetVariables(variables: variables)
            )
            return try session.show(names)
        }
    }

    private static let list = Command(
        path: ["ws", "env", "ls"],
        summary: "List the names of a workspace's variables.",
        operands: [WorkspaceCommands.workspace],
        examples: [Example(line: "berth ws env ls login", about: "Names alone: values are never shown")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let names: VariableNames = try await session.client.call(
                .workspaceVariables,
                path: ["workspaceId": arguments.operands[0]]
            )
            return try session.show(names)
        }
    }

    private static let remove = Command(
        path: ["ws", "env", "rm"],
        summary: "Remove a variable of a workspace.",
        operands: [WorkspaceCommands.workspace, Operand(name: "NAME", count: .one, about: "its name")],
        examples: [Example(line: "berth ws env rm login STAGE", about: "Programs that run keep theirs")]
    ) { arguments, terminal in
        try await ServerSession.with(arguments, terminal) { session in
            let names: VariableNames = try await session.client.call(
                .workspaceVariableRemove,
                path: ["workspaceId": arguments.operands[0], "name": arguments.operands[1]]
            )
            return try session.show(names)
        }
    }
}

extension ServerSession {
    fileprivate func show(_ names: VariableNames) throws -> Int32 {
        try print(names) { names.names.map { $0 + "\n" }.joined() }
        return 0
    }
}
