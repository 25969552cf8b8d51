import API
import Base

/// Finds the command that a command line means and reads its options.
struct ArgumentParser: Sendable {
    enum Result: Sendable {
        case run(Command, ParsedArguments)
        case help(Command)
        /// Help of a group of commands, such as `env`; empty for the program itself.
        case groupHelp([String])
    }

    let commands: [Command]

    func parse(_ words: [String]) throws(BerthError) -> Result {
        let (command, rest) = try find(words)
        guard let command else { return .groupHelp(Array(words.prefix { !$0.hasPrefix("-") && $0 != "help" })) }
        return try Self.read(command, rest)
    }

    private func find(_ words: [String]) throws(BerthError) -> (Command?, [String]) {
        let names = Array(words.prefix { !$0.hasPrefix("-") })
        for length in stride(from: min(2, names.count), through: 1, by: -1) {
            let path = Array(names.prefix(length))
            if let command = commands.first(where: { $0.path == path }) {
                return (command, Array(words.dropFirst(length)))
            }
        }
        guard let first = names.first else {
            for word in words where !["-h", "--help"].contains(word) {
                throw BerthError(
                    .usage,
                    "'\(word)' comes before any command",
                    remedy: "name a command first; see berth --help"
                )
            }
            return (nil, [])
        }
        if isGroup(first) {
            guard let second = names.dropFirst().first else { return (nil, []) }
            throw unknown(
                second,
                after: first,
                among: commands.filter { $0.path.first == first }.compactMap(\.path.last)
            )
        }
        throw unknown(first, after: nil, among: commands.compactMap(\.path.first))
    }

    func isGroup(_ word: String) -> Bool { commands.contains { $0.path.count > 1 && $0.path.first == word } }

    private func unknown(_ word: String, after group: String?, among known: [String]) -> BerthError {
        let program = group.map { "berth \($0)" } ?? "berth"
        return BerthError(
            .usage,
            "'\(word)' is not a command of \(program)",
            remedy: Similarity.nearest(word, in: known).map { "did you mean '\(program) \($0)'?" }
                ?? "see \(program) --help"
        )
    }

    private static func read(_ command: Command, _ words: [String]) throws(BerthError) -> Result {
        var parsed = ParsedArguments()
        var rest = words[...]
        let takesRest = command.operands.contains { $0.count == .rest }
        while let word = rest.popFirst() {
            if word == "--" {
                parsed.operands += rest
                break
            }
            if word == "--help" || word == "-h" { return .help(command) }
            if word.hasPrefix("-"), word.count > 1 {
                try readOption(word, of: command, into: &parsed, rest: &rest)
            } else {
                parsed.operands.append(word)
                // A command line to run keeps its own flags, without `--` as well.
                if takesRest, command.operands.first?.count == .rest {
                    parsed.operands += rest
                    break
                }
            }
        }
        try checkOperands(parsed, of: command)
        return .run(command, parsed)
    }

    private static func readOption(
        _ word: String,
        of command: Command,
        into parsed: inout ParsedArguments,
        rest: inout ArraySlice<String>
    ) throws(BerthError) {
        let (spelled, attached) = split(word)
        guard let option = command.allOptions.first(where: { $0.matches(spelled) }) else {
            let known = command.allOptions.map { "--\($0.name)" }
            throw BerthError(
                .usage,
                "berth \(command.name) has no option '\(spelled)'",
                remedy: Similarity.nearest(spelled, in: known).map { "did you mean '\($0)'?" }
                    ?? "see berth \(command.name) --help"
            )
        }
        guard case .value(let placeholder) = option.kind else {
            if attached != nil {
                throw BerthError(.usage, "the option takes no value", field: "--\(option.name)")
            }
            parsed.flags.insert(option.name)
            return
        }
        guard let value = attached ?? rest.popFirst() else {
            throw BerthError(
                .usage,
                "the value is missing",
                field: "--\(option.name)",
                remedy: "write \(option.spelling.trimmed)"
            )
        }
        if !option.isRepeatable, parsed.values[option.name] != nil {
            throw BerthError(
                .usage,
                "the option is given twice",
                field: "--\(option.name)",
                remedy: "give one \(placeholder)"
            )
        }
        parsed.values[option.name, default: []].append(value)
    }

    private static func split(_ word: String) -> (String, attached: String?) {
        guard word.hasPrefix("--"), let equals = word.firstIndex(of: "=") else { return (word, nil) }
        return (String(word[..<equals]), String(word[word.index(after: equals)...]))
    }

    private static func checkOperands(_ parsed: ParsedArguments, of command: Command) throws(BerthError) {
        let least = command.operands.filter { $0.count == .one || $0.count == .rest }.count
        if parsed.operands.count < least {
            let missing = command.operands[parsed.operands.count]
            throw BerthError(
                .usage,
                "\(missing.name) is missing: \(missing.about)",
                remedy: command.examples.first.map { "for example: \($0.line)" } ?? "see berth \(command.name) --help"
            )
        }
        let hasRest = command.operands.contains { $0.count == .rest || $0.count == .any }
        if !hasRest, parsed.operands.count > command.operands.count {
            throw BerthError(
                .usage,
                "'\(parsed.operands[command.operands.count])' is one argument too many",
                remedy: command.operands.isEmpty
                    ? "berth \(command.name) takes no arguments" : "put an argument with spaces in quotes"
            )
        }
    }
}

extension Option {
    fileprivate func matches(_ spelled: String) -> Bool {
        spelled == "--\(name)" || short.map { spelled == "-\($0)" } ?? false
    }
}
