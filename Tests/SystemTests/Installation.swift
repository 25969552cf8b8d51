import Base
import FoundationEssentials
import TestSupport

/// The shipped programs on a data directory of their own: a server, and the CLI beside it.
final class Installation: Sendable {
    let directory: TemporaryDirectory
    /// Path prefix of every berth call, to run as somebody else: `["setpriv", …]`.
    let prefix: [String]
    /// Besides the plain environment.
    let variables: [String: String]
    private let place: String?

    var data: String { place ?? directory.file("data") }
    /// Where others find what lies at a path that this sees: of a mount namespace, its root.
    let root: String

    /// A file of the data directory, for this process.
    func seen(_ name: String) -> String { "\(root)\(data)/\(name)" }

    /// - Parameters:
    ///   - data: nil: in the directory of its own.
    ///   - root: of a mount namespace that `prefix` leads to.
    init(
        prefix: [String] = [],
        variables: [String: String] = [:],
        directory: TemporaryDirectory? = nil,
        data: String? = nil,
        root: String = ""
    ) throws {
        self.directory = try directory ?? TemporaryDirectory("system")
        self.prefix = prefix
        self.variables = variables
        place = data
        self.root = root
    }

    var environment: [String: String] {
        ChildProcess.plainEnvironment.merging(["BERTH_DATA": data, "NO_COLOR": "1"]) { $1 }
            .merging(variables) { $1 }
    }

    /// Starts a server and waits until it says where it listens.
    func serve(listen: String = "127.0.0.1:0", flags: [String] = []) async throws -> ChildProcess {
        let server = try ChildProcess(
            prefix + [ProgramLocation.path("berth"), "serve", "--listen", listen] + flags,
            environment: environment
        )
        _ = try await server.line(containing: "berth is listening on", on: .stderr)
        return server
    }

    /// A berth command, run to its end.
    func berth(
        _ arguments: String...,
        variables: [String: String] = [:],
        input: String = "",
        within deadline: Duration = .seconds(120)
    ) async throws -> CommandResult {
        try await TestSupport.run(
            prefix + [ProgramLocation.path("berth")] + arguments,
            environment: environment.merging(variables) { $1 },
            input: input,
            within: deadline
        )
    }

    /// A berth command from a list, run to its end.
    func run(_ arguments: [String], within deadline: Duration = .seconds(120)) async throws -> CommandResult {
        try await TestSupport.run(
            prefix + [ProgramLocation.path("berth")] + arguments,
            environment: environment,
            within: deadline
        )
    }

    /// A berth command that goes on while the test does something else.
    func starting(_ arguments: String..., variables: [String: String] = [:]) throws -> ChildProcess {
        try ChildProcess(
            prefix + [ProgramLocation.path("berth")] + arguments,
            environment: environment.merging(variables) { $1 }
        )
    }

    /// The same, from a list.
    func starting(_ arguments: [String]) throws -> ChildProcess {
        try ChildProcess(prefix + [ProgramLocation.path("berth")] + arguments, environment: environment)
    }

    /// The JSON that a command with `--json` prints; one value.
    func json(_ arguments: String...) async throws -> JSONValue {
        let result = try await TestSupport.run(
            prefix + [ProgramLocation.path("berth")] + arguments + ["--json"],
            environment: environment
        )
        guard result.status == 0 else { throw UnexpectedStatus(arguments: arguments, result: result) }
        return try JSONDecoder().decode(JSONValue.self, from: Data(result.output.utf8))
    }

    /// The newest execution, as `berth show --json` prints it.
    func newestExecution() async throws -> JSONValue {
        let list = try await json("ls")
        guard let id = (list["items"]?.array ?? list.array)?.first?["id"]?.string else {
            throw SystemFailure("berth ls", 2)
        }
        return try await json("show", id)
    }

    func destroyEverything() async {
        guard let list = try? await json("env", "ls") else { return }
        for item in (list["items"]?.array ?? list.array) ?? [] {
            guard let id = item["id"]?.string, item["status"]?.string != "destroyed" else { continue }
            _ = try? await berth("env", "destroy", id)
        }
    }
}

/// Runs `body` with a server on a directory of its own; whatever it made is destroyed at the end, also after a failure.
func withServer(
    _ given: Installation? = nil,
    flags: [String] = [],
    _ body: (Installation, ChildProcess) async throws -> Void
) async throws {
    let installation = try given ?? Installation()
    let server = try await installation.serve(flags: flags)
    do {
        try await body(installation, server)
    } catch {
        await end(installation, server)
        throw Failed(error: error, log: String(decoding: server.standardError.suffix(6000), as: UTF8.self))
    }
    await end(installation, server)
}

private func end(_ installation: Installation, _ server: ChildProcess) async {
    var server = server
    if server.hasEnded, let another = try? await installation.serve() { server = another }
    await installation.destroyEverything()
    server.signal(15)
    _ = try? await server.exit(within: .seconds(20))
}

/// A failure with the end of the server's log.
struct Failed: Error, CustomStringConvertible {
    var error: any Error
    var log: String

    var description: String { "\(error)\n--- server log ---\n\(log)" }
}
