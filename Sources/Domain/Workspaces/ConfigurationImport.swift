public import Base

/// Takes what other tools' files say about a repository for ``WorkspaceConfiguration``.
public struct ConfigurationImport: Sendable, Codable, Equatable {
    /// The file it was taken from.
    public var file: String
    public var configuration: WorkspaceConfiguration
    /// What could not be taken, and what to look at.
    public var notes: [String]
    /// A guess that a person has to confirm; never used by itself.
    public var isHint: Bool

    /// In the order of preference.
    public static let files = [
        "factory-factory.json", "conductor.json", ".cursor/environment.json", ".devcontainer/devcontainer.json",
        ".devcontainer.json", "package.json",
    ]

    /// - Parameter text: of `file`, one of ``files``.
    /// - Returns: nil where it says nothing about set-up, running or ports. Throws where it cannot be read.
    public init?(file: String, text: String) throws(BerthError) {
        let document: LocatedJSON
        do throws(LocatedJSON.Mistake) {
            document = try LocatedJSON(parsing: text)
        } catch {
            throw BerthError(
                .invalidJSON,
                "\(file), line \(error.line): \(error.message)",
                field: file,
                remedy: "correct it, or write a \(WorkspaceConfiguration.fileName), which is used instead"
            )
        }
        self.file = file
        configuration = WorkspaceConfiguration()
        notes = []
        isHint = file == "package.json"
        switch file {
        case "factory-factory.json": takeScripts(document, teardown: ["cleanup", "postRun"])
        case "conductor.json": takeScripts(document, teardown: ["archive"])
        case ".cursor/environment.json": takeCursor(document)
        case "package.json": takePackage(document)
        default: takeContainer(document)
        }
        if configuration.isEmpty, notes.isEmpty { return nil }
    }

    /// What a workspace goes by: its own file, else the first of the others that says something.
    /// - Parameter texts: those of the files that exist.
    public static func choose(_ texts: [String: String]) throws(BerthError) -> (WorkspaceConfiguration, from: String?) {
        if let own = texts[WorkspaceConfiguration.fileName] {
            return (try WorkspaceConfiguration(parsing: own), WorkspaceConfiguration.fileName)
        }
        for file in files {
            guard let text = texts[file], let found = try? ConfigurationImport(file: file, text: text),
                !found.isHint, !found.configuration.isEmpty
            else { continue }
            return (found.configuration, file)
        }
        return (WorkspaceConfiguration(), nil)
    }

    private mutating func takeScripts(_ document: LocatedJSON, teardown: [String]) {
        guard let scripts = document["scripts"] else { return }
        configuration.scripts.setup = Self.command(scripts["setup"])
        configuration.scripts.run = Self.command(scripts["run"])
        for name in teardown where configuration.scripts.teardown == nil {
            configuration.scripts.teardown = Self.command(scripts[name])
        }
        let all = [configuration.scripts.setup, configuration.scripts.run, configuration.scripts.teardown]
        if all.contains(where: { $0?.contains("CONDUCTOR_") == true }) {
            notes.append("CONDUCTOR_… variables are not set; BERTH_WORKSPACE_PATH and {port} are there instead")
        }
    }

    /// `install` is run once, `start` at every boot, `terminals` are left running.
    private mutating func takeCursor(_ document: LocatedJSON) {
        configuration.scripts.setup = Self.command(document["install"])
        let terminals = Self.elements(document["terminals"])
        let start = Self.command(document["start"])
        configuration.scripts.run = terminals.first.flatMap { Self.command($0["command"]) } ?? start
        if terminals.count > 1 { notes.append("only the first of \(terminals.count) terminals becomes the run script") }
        if !terminals.isEmpty, start != nil {
            notes.append("'start' is left out: the first terminal is the run script")
        }
        configuration.ports = Self.ports(document["ports"])
        if document["build"] != nil || document["snapshot"] != nil {
            notes.append("the machine's own image is not taken; give the environment one with --image")
        }
    }

    /// containers.dev: commands of the life cycle are a string, an array of words, or an object of either.
    private mutating func takeContainer(_ document: LocatedJSON) {
        let setup = ["onCreateCommand", "updateContentCommand", "postCreateCommand"]
            .compactMap { Self.command(document[$0]) }
        configuration.scripts.setup = setup.isEmpty ? nil : setup.joined(separator: "\n")
        configuration.scripts.run = Self.command(document["postStartCommand"])
        configuration.ports = Self.ports(document["forwardPorts"])
        for key in ["containerEnv", "remoteEnv"] {
            guard case .object(let members)? = document[key]?.value else { continue }
            for member in members {
                guard let text = member.value.string, VariableName.isValid(member.name), !text.contains("${") else {
                    notes.append("\(key).\(member.name) is left out: its value is not plain text")
                    continue
                }
                configuration.environment[member.name] = text
            }
        }
        if document["postAttachCommand"] != nil { notes.append("postAttachCommand is left out") }
        for key in ["image", "dockerFile", "build", "dockerComposeFile", "features"] where document[key] != nil {
            notes.append("'\(key)' is not taken; give the environment an image with --image")
        }
    }

    private mutating func takePackage(_ document: LocatedJSON) {
        guard let scripts = document["scripts"] else { return }
        let manager = document["packageManager"]?.string.map { String($0.prefix { $0 != "@" }) } ?? "npm"
        guard ["npm", "pnpm", "yarn", "bun"].contains(manager) else { return }
        configuration.scripts.setup = "\(manager) install"
        let run = ["dev", "start", "serve"].first { scripts[$0]?.string != nil }
        configuration.scripts.run = run.map { "\(manager) run \($0)" }
        notes.append("a guess from the names of its scripts")
    }

    private static func elements(_ value: LocatedJSON?) -> [LocatedJSON] {
        if case .array(let elements)? = value?.value { elements } else { [] }
    }

    private static func command(_ value: LocatedJSON?) -> String? {
        switch value?.value {
        case .string(let text)?: return text.isEmpty || text.utf8.contains(0) ? nil : text
        case .array(let words)?:
            let texts = words.compactMap(\.string)
            return texts.isEmpty || texts.count < words.count ? nil : texts.map(quoted).joined(separator: " ")
        case .object(let members)?:
            let parts = members.compactMap { command($0.value) }
            return parts.isEmpty ? nil : parts.joined(separator: " && ")
        default: return nil
        }
    }

    /// As one word for a shell.
    private static func quoted(_ word: String) -> String {
        "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    private static func ports(_ value: LocatedJSON?) -> [Int] {
        elements(value).compactMap { element in
            switch element.value {
            case .number(let number): Int(exactly: number)
            case .string(let text): Int(text.split(separator: ":").last ?? "")
            case .object: if case .number(let number)? = element["port"]?.value { Int(exactly: number) } else { nil }
            default: nil
            }
        }.filter { (1...65535).contains($0) }
    }
}
