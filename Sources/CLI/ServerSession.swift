import API
import Base
import Client
import Domain
import Server
import Transport

/// A command's connection to a server, and how its answers are shown.
struct ServerSession: Sendable {
    let client: BerthClient
    let terminal: Terminal
    let isJSON: Bool

    /// Finds the server that the flags, the environment or the data directory name, and runs `body` with it.
    static func with(
        _ arguments: ParsedArguments,
        _ terminal: Terminal,
        _ body: @escaping @Sendable (ServerSession) async throws -> Int32
    ) async throws -> Int32 {
        let found = try address(arguments, terminal)
        let client = try BerthClient(
            url: found.url,
            key: found.key,
            trust: found.trust,
            proxy: HTTPProxy(environment: terminal.environment),
            loop: terminal.loop
        )
        let session = ServerSession(client: client, terminal: terminal, isJSON: arguments.has("json"))
        return try await body(session)
    }

    private static func address(_ arguments: ParsedArguments, _ terminal: Terminal) throws -> ServerAddress {
        guard let name = arguments.text("remote") else {
            return try ServerAddress.find(try Surroundings.configuration(arguments, terminal))
        }
        guard arguments.text("server") == nil else {
            throw BerthError(.usage, "--remote and --server each name a server", field: "--remote", remedy: "give one")
        }
        return try RemoteFile(terminal.environment).find(name).address
    }

    /// The value as JSON, or the text.
    func print(_ value: some Encodable, _ text: () -> String) throws {
        if isJSON {
            terminal.writeBytes(try JSONBody.encode(value, pretty: true) + Array("\n".utf8), toError: false)
        } else {
            terminal.write(text())
        }
    }

    /// A line on standard error about long work.
    func say(_ text: String) { terminal.writeError(terminal.errorStyle.dim(text) + "\n") }

    /// Waits until an environment is what was wanted, or cannot become it.
    func settle(_ environment: API.Environment, toward wanted: String) async throws -> API.Environment {
        var current = environment
        var told = ""
        while current.status != wanted, current.status != "error", current.desired == environment.desired {
            if current.status != told {
                told = current.status
                say("\(current.name): \(told)…")
            }
            current = try await client.call(
                .environmentGet,
                path: ["environmentId": current.id.text],
                query: [("afterVersion", "\(current.version)"), ("waitMs", "20000")]
            )
        }
        return current
    }

    func show(_ environment: API.Environment, wanted: String, waited: Bool) throws -> Int32 {
        try print(environment) {
            "\(environment.name) (\(environment.id)): \(environment.status)\n"
                + (environment.statusMessage.map { "  \($0)\n" } ?? "")
                + (environment.lost ?? []).map { "  lost: \($0)\n" }.joined()
                + environment.limitations.map { "  not enforced: \($0)\n" }.joined()
        }
        return !waited || environment.status == wanted ? 0 : ErrorCode.illegalTransition.exitStatus
    }
}

/// The configuration of a command line.
enum Surroundings {
    static func configuration(_ arguments: ParsedArguments, _ terminal: Terminal) throws(BerthError)
        -> Configuration
    {
        var flags: [String: String] = [:]
        for key in ConfigurationKey.all {
            let flag = key.flag
            if let value = arguments.text(flag) { flags[key.name] = value }
        }
        for setting in arguments.all("set") {
            guard let equals = setting.firstIndex(of: "=") else {
                throw BerthError(.usage, "'\(setting)' has no value", field: "--set", remedy: "write NAME=VALUE")
            }
            flags[String(setting[..<equals])] = String(setting[setting.index(after: equals)...])
        }
        let environment = terminal.environment
        let home = environment["HOME"] ?? "/root"
        let standard = (environment["XDG_CONFIG_HOME"] ?? "\(home)/.config") + "/berth/config.json5"
        let named = arguments.text("config") ?? environment["BERTH_CONFIG"]
        var file: (text: [UInt8], path: String)?
        if let path = named ?? (Files.exists(standard) ? standard : nil) {
            file = (Array(try Input.file(path, field: "--config").utf8), path)
        }
        return try Configuration(file: file, environment: environment, flags: flags)
    }
}

extension ConfigurationKey {
    /// `tlsCertificate` is `--tls-certificate`.
    var flag: String {
        var text = ""
        for character in name {
            if character.isUppercase { text += "-" }
            text += character.lowercased()
        }
        return text
    }
}
