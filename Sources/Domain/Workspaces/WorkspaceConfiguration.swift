public import Base

/// What a repository says about its workspaces, in `berth.json` at its top (JSON5). Described for editors in
/// `Docs/berth.schema.json`.
public struct WorkspaceConfiguration: Sendable, Codable, Equatable {
    /// Name of the file, at the top of the repository.
    public static let fileName = "berth.json"
    /// Of the file.
    public static let byteLimit = 256 << 10

    /// Run by `/bin/sh` at the top of the checkout.
    public struct Scripts: Sendable, Codable, Equatable {
        /// Once, when the workspace is made.
        public var setup: String?
        /// The program that people want to see. `{port}` is replaced by a free port.
        public var run: String?
        /// Before the working tree goes.
        public var teardown: String?

        public init(setup: String? = nil, run: String? = nil, teardown: String? = nil) {
            self.setup = setup
            self.run = run
            self.teardown = teardown
        }

        public var isEmpty: Bool { setup == nil && run == nil && teardown == nil }
    }

    public var scripts: Scripts
    /// For every program of the workspace. No secrets: the file is in the repository.
    public var environment: [String: String]
    /// TCP ports that the run script listens on, the one to look at first.
    public var ports: [Int]

    public init(scripts: Scripts = Scripts(), environment: [String: String] = [:], ports: [Int] = []) {
        self.scripts = scripts
        self.environment = environment
        self.ports = ports
    }

    public var isEmpty: Bool { self == WorkspaceConfiguration() }
}

extension WorkspaceConfiguration {
    /// Strict: an unknown name is a mistake. Throws `invalidValue` or `unknownField` with the key and its line.
    public init(parsing text: String, file: String = fileName) throws(BerthError) {
        self.init()
        let document: LocatedJSON
        do throws(LocatedJSON.Mistake) {
            document = try LocatedJSON(parsing: text)
        } catch {
            throw BerthError(
                .invalidJSON,
                "\(file), line \(error.line): \(error.message)",
                field: file,
                remedy: "it is JSON5: check quotes, commas and brackets there"
            )
        }
        for (name, line, value) in try Self.members(document, "", file) {
            switch name {
            case "$schema": _ = try Self.text(value, name, file)
            case "scripts": scripts = try Self.scripts(value, file)
            case "environment": environment = try Self.variables(value, file)
            case "ports": ports = try Self.ports(value, file)
            default: throw Self.unknown(name, line, among: ["scripts", "environment", "ports"], file)
            }
        }
    }

    private static func scripts(_ value: LocatedJSON, _ file: String) throws(BerthError) -> Scripts {
        var scripts = Scripts()
        for (name, line, value) in try members(value, "scripts", file) {
            let key = "scripts.\(name)"
            switch name {
            case "setup": scripts.setup = try text(value, key, file)
            case "run": scripts.run = try text(value, key, file)
            case "teardown": scripts.teardown = try text(value, key, file)
            default: throw unknown(key, line, among: ["scripts.setup", "scripts.run", "scripts.teardown"], file)
            }
        }
        return scripts
    }

    private static func variables(_ value: LocatedJSON, _ file: String) throws(BerthError) -> [String: String] {
        var variables: [String: String] = [:]
        for (name, line, value) in try members(value, "environment", file) {
            guard VariableName.isValid(name) else {
                throw mistake(
                    "'\(name.prefix(80))' is no name for a variable",
                    "environment.\(name.prefix(80))",
                    line,
                    file
                )
            }
            variables[name] = try text(value, "environment.\(name)", file)
        }
        return variables
    }

    private static func ports(_ value: LocatedJSON, _ file: String) throws(BerthError) -> [Int] {
        guard case .array(let elements) = value.value else {
            throw mistake("an array of ports is needed, not \(value.kind)", "ports", value.line, file)
        }
        var ports: [Int] = []
        for (index, element) in elements.enumerated() {
            guard case .number(let number) = element.value, let port = Int(exactly: number), (1...65535).contains(port)
            else { throw mistake("a port is a whole number from 1 to 65535", "ports[\(index)]", element.line, file) }
            ports.append(port)
        }
        return ports
    }

    private static func members(_ value: LocatedJSON, _ key: String, _ file: String) throws(BerthError)
        -> [(name: String, line: Int, value: LocatedJSON)]
    {
        guard case .object(let members) = value.value else {
            throw mistake("an object is needed, not \(value.kind)", key.isEmpty ? file : key, value.line, file)
        }
        return members
    }

    private static func text(_ value: LocatedJSON, _ key: String, _ file: String) throws(BerthError) -> String {
        guard let text = value.string else {
            throw mistake("a string is needed, not \(value.kind)", key, value.line, file)
        }
        guard !text.utf8.contains(0) else { throw mistake("a NUL character is not allowed", key, value.line, file) }
        return text
    }

    private static func mistake(_ what: String, _ key: String, _ line: Int, _ file: String) -> BerthError {
        BerthError(.invalidValue, "\(file), line \(line), \(key): \(what)", field: key, remedy: "correct it there")
    }

    private static func unknown(_ key: String, _ line: Int, among known: [String], _ file: String) -> BerthError {
        BerthError(
            .unknownField,
            "\(file), line \(line): there is no '\(key.prefix(80))'",
            field: String(key.prefix(80)),
            remedy: "known are \(known.joined(separator: ", "))"
        )
    }
}

/// Of an environment variable, as programs and shells take it.
public enum VariableName {
    public static func isValid(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        return name.utf8.count <= 256
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
            }
    }
}
