import API
import Base
import Client
import Domain
import FoundationEssentials
import Glibc

/// What a command reads from its surroundings: files, standard input, the caller's variables.
enum Input {
    static func standardInput(for what: String) throws(BerthError) -> String {
        if isatty(0) == 1 {
            throw BerthError(.usage, "\(what) is missing", remedy: "write it in quotes, or pipe it in")
        }
        var bytes: [UInt8] = []
        let size = 1 << 16
        while true {
            let chunk = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                count = max(0, read(0, buffer.baseAddress, size))
            }
            if chunk.isEmpty { break }
            bytes += chunk
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw BerthError(
                .usage,
                "\(what == "standard input" ? what : what + " from standard input") is not UTF-8 text",
                remedy: "encode other bytes, for example with base64, or put them into a file of the repository"
            )
        }
        return text
    }

    static func file(_ path: String, field: String) throws(BerthError) -> String {
        do {
            let data = try Data(contentsOf: URL(filePath: path))
            guard let text = String(validating: data, as: UTF8.self) else {
                throw BerthError(.usage, "\(path) is not UTF-8 text", field: field)
            }
            return text
        } catch let error as BerthError {
            throw error
        } catch {
            throw BerthError(
                .usage,
                "\(path) cannot be read",
                field: field,
                remedy: "check the path and its permissions"
            )
        }
    }

    /// `--env` and `--secret` together: both reach the agent alone and are sealed at rest.
    static func variables(_ arguments: ParsedArguments, terminal: Terminal) throws(BerthError) -> [String: String]? {
        var variables: [String: String] = [:]
        for text in arguments.all("env") {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw BerthError(.usage, "'\(text)' has no value", field: "--env", remedy: "write NAME=VALUE")
            }
            variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        for text in arguments.all("secret") {
            let (name, value) = try secret(text, field: "--secret", terminal: terminal)
            variables[name] = value
        }
        return variables.isEmpty ? nil : variables
    }

    /// `NAME`, `NAME=@FILE`, `NAME=-` or `NAME=VALUE`.
    static func secret(_ text: String, field: String, terminal: Terminal) throws(BerthError) -> (String, String) {
        guard let equals = text.firstIndex(of: "=") else {
            guard let value = terminal.environment[text], !value.isEmpty else {
                throw BerthError(
                    .usage,
                    "\(text) is not set in this shell's environment",
                    field: field,
                    remedy: "export it, or write \(text)=@FILE"
                )
            }
            return (text, value)
        }
        let name = String(text[..<equals])
        let source = String(text[text.index(after: equals)...])
        if source == "-" { return (name, try standardInput(for: "the secret").withoutLastNewline) }
        if source.hasPrefix("@") {
            return (name, try file(String(source.dropFirst()), field: field).withoutLastNewline)
        }
        return (name, source)
    }

    /// The key for a repository behind ssh, checked before it goes anywhere.
    static func sshLogin(_ arguments: ParsedArguments, url: String) throws(BerthError) -> CreateExecution.SSHLogin? {
        let (keyFile, hostsFile) = (arguments.text("ssh-key"), arguments.text("known-hosts"))
        guard keyFile != nil || hostsFile != nil else { return nil }
        guard try RepositoryURL(url, field: "--repo").isSSH else {
            throw BerthError(
                .usage,
                "only repositories behind ssh take a key",
                field: keyFile == nil ? "--known-hosts" : "--ssh-key",
                remedy: "give the repository as ssh://user@host/path or user@host:path"
            )
        }
        let key = try keyFile.map { path throws(BerthError) in try file(path, field: "--ssh-key") }
        if let key { try SSHPrivateKey.validate(key, field: "--ssh-key") }
        return CreateExecution.SSHLogin(
            privateKey: key,
            knownHosts: try hostsFile.map { path throws(BerthError) in try file(path, field: "--known-hosts") }
        )
    }

    static func gitLogin(_ arguments: ParsedArguments, url: String, terminal: Terminal) throws(BerthError)
        -> CreateExecution.GitLogin?
    {
        guard let text = arguments.text("git-secret") else {
            if arguments.text("git-user") != nil {
                throw BerthError(
                    .usage,
                    "the option needs a password",
                    field: "--git-user",
                    remedy: "add --git-secret NAME"
                )
            }
            return nil
        }
        guard let scheme = ["https", "http"].first(where: { url.hasPrefix("\($0)://") }) else {
            throw BerthError(
                .usage,
                "a password serves only http and https repositories",
                field: "--git-secret",
                remedy: "give the repository as an https URL"
            )
        }
        let host = url.dropFirst(scheme.count + 3).prefix { $0 != "/" }
        let (_, password) = try secret(text, field: "--git-secret", terminal: terminal)
        return CreateExecution.GitLogin(
            scheme: scheme,
            host: String(host),
            username: arguments.text("git-user") ?? "x-access-token",
            password: password
        )
    }
}

extension String {
    fileprivate var withoutLastNewline: String { hasSuffix("\n") ? String(dropLast()) : self }
}
