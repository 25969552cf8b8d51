import Base

/// A command of the program, as data: parsing, help and completion are made from it.
struct Command: Sendable {
    /// Words after the program's name: `["env", "create"]`.
    var path: [String]
    var summary: String
    /// Operands in order.
    var operands: [Operand] = []
    var options: [Option] = []
    /// Complete command lines with what they do.
    var examples: [Example] = []
    /// A longer explanation under the synopsis.
    var discussion = ""
    var run: @Sendable (ParsedArguments, Terminal) async throws -> Int32

    var name: String { path.joined(separator: " ") }

    /// Options that every command has.
    static let common: [Option] = [
        .flag("json", "Print JSON, for programs."),
        .value("server", "URL", "Address of the server, several with commas; default: the data directory's."),
        .value("remote", "NAME", "A server that you have logged in to, in place of --server."),
        .flag("help", short: "h", "Show this help."),
    ]

    var allOptions: [Option] { options + Self.common }
}

struct Operand: Sendable {
    enum Count: Sendable {
        case one, optional
        /// One or more.
        case rest
        /// None or more.
        case any
    }

    var name: String
    var count: Count
    var about: String

    var synopsis: String {
        switch count {
        case .one: name
        case .optional: "[\(name)]"
        case .rest: "\(name)…"
        case .any: "[\(name)…]"
        }
    }
}

struct Option: Sendable {
    enum Kind: Sendable, Equatable {
        case flag
        /// Takes a value; the placeholder is what help calls it.
        case value(placeholder: String)
    }

    var name: String
    var short: Character?
    var kind: Kind
    var about: String
    var isRepeatable = false
    /// What a shell may complete after it.
    var choices: [String] = []

    static func flag(_ name: String, short: Character? = nil, _ about: String) -> Option {
        Option(name: name, short: short, kind: .flag, about: about)
    }

    static func value(
        _ name: String,
        short: Character? = nil,
        _ placeholder: String,
        _ about: String,
        repeats: Bool = false,
        choices: [String] = []
    ) -> Option {
        Option(
            name: name,
            short: short,
            kind: .value(placeholder: placeholder),
            about: about,
            isRepeatable: repeats,
            choices: choices
        )
    }

    var spelling: String {
        let long = if case .value(let placeholder) = kind { "--\(name) \(placeholder)" } else { "--\(name)" }
        return short.map { "-\($0), \(long)" } ?? "    \(long)"
    }
}

struct Example: Sendable {
    var line: String
    var about: String
}
