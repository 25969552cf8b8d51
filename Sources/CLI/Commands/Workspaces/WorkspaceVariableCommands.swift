import API
import Base
import Client

/// `ws env set | ls | rm`.
enum WorkspaceVariableCommands {
    static let all = [command]

    private static let verbs = ["set", "ls", "rm"]

    private static let command = Command(
        path: ["ws", "env"],
        summary: "Set, list or remove variables of a workspace's programs; sealed at rest, never shown again.",
        operands: [
            Operand(name: "VERB", count: .one, about: "set, ls or rm"),
            WorkspaceCommands.workspace,
            Operand(
                name: "VARIABLES",
                count: .any,
                about: "for set: NAME=VALUE; NAME takes it from this shell, NAME=@FILE from a file, NAME=- from stdin; "
                    + "for rm: names"
            ),
        ],
        examples: [
            Example(line: "berth ws env set login DATABASE_URL", about: "From this shell, so that no history holds it"),
            Example(line: "berth ws env set login STAGE=dev KEY=@key.txt", about: "Two at once"),
            Example(line: "berth ws env ls login", about: "Names alone: values are never shown"),
            Example(line: "berth ws env rm login STAGE", about: "Programs that run keep theirs"),
        ],
        discussion: "Every program of the workspace has them: runs, terminals, the set-up and the run script."
    ) { arguments, terminal in
        let verb = arguments.operands[0]
        let words = arguments.operands.dropFirst(2)
        guard verbs.contains(verb), verb == "ls" || !words.isEmpty else {
            throw BerthError(
                .usage,
                verbs.contains(verb) ? "no variable is named" : "'\(verb.prefix(40))' is not set, ls or rm",
                field: verbs.contains(verb) ? "VARIABLES" : "VERB",
                remedy: "see 'berth ws env --help'"
            )
        }
        var variables: [String: String] = [:]
        if verb == "set" {
            for text in words {
                let (name, value) = try Input.secret(text, field: "VARIABLES", terminal: terminal)
                variables[name] = value
            }
        }
        return try await ServerSession.with(arguments, terminal) { [variables] session in
            let path = ["workspaceId": arguments.operands[1]]
            var names: VariableNames
            switch verb {
            case "set":
                let body = SetVariables(variables: variables)
                names = try await session.client.call(.workspaceVariablesSet, path: path, body: body)
            default: names = try await session.client.call(.workspaceVariables, path: path)
            }
            if verb == "rm" {
                for name in words {
                    names = try await session.client.call(
                        .workspaceVariableRemove,
                        path: path.merging(["name": name]) { $1 }
                    )
                }
            }
            try session.print(names) { [names] in
                let missing = (names.missing ?? []).map { $0 + "  (no value here: it came without)\n" }
                return (names.names.map { $0 + "\n" } + missing).joined()
            }
            return 0
        }
    }
}
