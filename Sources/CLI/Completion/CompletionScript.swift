import Base

/// Scripts for shells, made from the commands' descriptions.
enum CompletionScript {
    static let shells = ["bash", "zsh", "fish"]

    static func text(for shell: String, commands: [Command]) -> String? {
        switch shell {
        case "bash": bash(commands)
        case "zsh": zsh(commands)
        case "fish": fish(commands)
        default: nil
        }
    }

    private static func words(_ command: Command) -> String {
        command.allOptions.map { "--\($0.name)" }.joined(separator: " ")
    }

    private static func firstWords(_ commands: [Command]) -> [String] {
        var seen: [String] = []
        for command in commands {
            if let first = command.path.first, !seen.contains(first) { seen.append(first) }
        }
        return seen
    }

    private static func bash(_ commands: [Command]) -> String {
        var text = """
            # bash completion of berth; load it with: source <(berth completion bash)
            _berth() {
                local word=${COMP_WORDS[COMP_CWORD]} first=${COMP_WORDS[1]:-} second=${COMP_WORDS[2]:-}
                if [ "$COMP_CWORD" -eq 1 ]; then
                    COMPREPLY=($(compgen -W '\(firstWords(commands).joined(separator: " "))' -- "$word"))
                    return
                fi
                case "$first $second" in

            """
        for group in groups(commands) {
            let verbs = commands.filter { $0.path.count > 1 && $0.path[0] == group }.map { $0.path[1] }
            for command in commands where command.path.count > 1 && command.path[0] == group {
                text += "        '\(command.name)') COMPREPLY=($(compgen -W '\(words(command))' -- \"$word\"));;\n"
            }
            text += "        '\(group) '*) COMPREPLY=($(compgen -W '\(verbs.joined(separator: " "))' -- \"$word\"));;\n"
        }
        for command in commands where command.path.count == 1 {
            let operands = command.path == ["completion"] ? shells.joined(separator: " ") + " " : ""
            text +=
                "        '\(command.name) '*) COMPREPLY=($(compgen -W '\(operands)\(words(command))' -- \"$word\"));;\n"
        }
        return text + "    esac\n}\ncomplete -o default -F _berth berth\n"
    }

    private static func groups(_ commands: [Command]) -> [String] {
        firstWords(commands.filter { $0.path.count > 1 })
    }

    private static func zsh(_ commands: [Command]) -> String {
        var text = """
            #compdef berth
            # zsh completion of berth; load it with: source <(berth completion zsh)
            _berth() {
                local -a choices
                if (( CURRENT == 2 )); then
                    choices=(\(firstWords(commands).map { first in
                        let summary = commands.first { $0.path == [first] }?.summary ?? "commands of \(first)"
                        return quoted("\(first):\(summary)")
                    }.joined(separator: " ")))
                    _describe command choices
                    return
                fi
                case "$words[2] $words[3]" in

            """
        for command in commands where command.path.count > 1 {
            text += "        '\(command.name)') choices=(\(options(command))); _describe option choices;;\n"
        }
        for group in groups(commands) {
            let verbs = commands.filter { $0.path.count > 1 && $0.path[0] == group }
                .map { quoted("\($0.path[1]):\($0.summary)") }.joined(separator: " ")
            text += "        '\(group) '*) choices=(\(verbs)); _describe command choices;;\n"
        }
        for command in commands where command.path.count == 1 {
            text += "        '\(command.name) '*) choices=(\(options(command))); _describe option choices; _files;;\n"
        }
        return text + "    esac\n}\ncompdef _berth berth\n"
    }

    private static func options(_ command: Command) -> String {
        command.allOptions.map { quoted("--\($0.name):\($0.about)") }.joined(separator: " ")
    }

    private static func fish(_ commands: [Command]) -> String {
        var text = "# fish completion of berth; load it with: berth completion fish | source\n"
        for first in firstWords(commands) {
            let summary = commands.first { $0.path == [first] }?.summary ?? "commands of \(first)"
            text += "complete -c berth -n __fish_use_subcommand -a \(first) -d \(quoted(summary))\n"
        }
        for command in commands {
            let seen = "__fish_seen_subcommand_from \(command.path[0])"
            var condition = seen
            if command.path.count > 1 {
                let verbs = commands.filter { $0.path.count > 1 && $0.path[0] == command.path[0] }.map { $0.path[1] }
                text +=
                    "complete -c berth -f -n '\(seen); and not __fish_seen_subcommand_from "
                    + "\(verbs.joined(separator: " "))' -a \(command.path[1]) -d \(quoted(command.summary))\n"
                condition += "; and __fish_seen_subcommand_from \(command.path[1])"
            }
            for option in command.allOptions {
                let needsValue = option.kind == .flag ? "" : " -x"
                let choices = option.choices.isEmpty ? "" : " -a \(quoted(option.choices.joined(separator: " ")))"
                let short = option.short.map { " -s \($0)" } ?? ""
                text +=
                    "complete -c berth -n '\(condition)'\(short) -l \(option.name)\(needsValue)\(choices)"
                    + " -d \(quoted(option.about))\n"
            }
        }
        return text
    }

    private static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}
