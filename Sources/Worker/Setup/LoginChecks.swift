internal import AgentProtocol
internal import Base
internal import BerthCore
internal import Subprocess
internal import WorkerProtocol

/// What the programs of the environment say of their logins, asked as the person. Their words stay here: they may hold
/// parts of a key.
struct LoginChecks: Sendable {
    let services: Services
    let runner: HolderRunner

    private static let patience = Duration.seconds(30)

    func run() async throws -> [CheckedLogin] {
        let github = try await run(["gh", "auth", "status"])
        let claude = try await run(["claude", "auth", "status"])
        return [
            CheckedLogin(
                tool: "gh",
                isInstalled: github != nil,
                isLoggedIn: github?.succeeded ?? false,
                command: ["gh", "auth", "login"]
            ),
            CheckedLogin(
                tool: "claude",
                isInstalled: claude != nil,
                isLoggedIn: claude.map(Self.isLoggedIn) ?? false,
                command: ["claude", "auth", "login"]
            ),
        ]
    }

    /// It prints JSON with `loggedIn`; older ones tell by their exit status alone.
    private static func isLoggedIn(_ result: ProcessResult) -> Bool {
        guard let said = try? JSONText.decode(JSONValue.self, from: result.output),
            case .bool(let isIn)? = said["loggedIn"]
        else { return result.succeeded }
        return isIn
    }

    /// nil where there is no such program.
    private func run(_ words: [String]) async throws -> ProcessResult? {
        do {
            return try await runner.run(
                ProcessCommand(
                    words,
                    environment: services.layout.baseVariables,
                    directory: "/",
                    identity: .agent,
                    deadline: Self.patience
                )
            )
        } catch let error as BerthError where error.code == .agentMissing || error.code == .programMissing {
            return nil
        }
    }
}
