internal import AgentSessions
internal import Base
internal import Domain
internal import HolderProtocol
internal import Subprocess

/// An agent's process as the holder is asked for it.
struct SessionLaunchRequest: Sendable {
    private let record: SessionRecord
    private let launch: SessionLaunch
    private let request: SpawnRequest

    /// - Parameter own: the workspace's variables.
    init(_ record: SessionRecord, _ launch: SessionLaunch, own: [String: String], layout: EnvironmentLayout) {
        self.record = record
        self.launch = launch
        var variables = layout.baseVariables
        variables["SHELL"] = layout.agent.shell
        variables.merge(CheckoutFiles.variables(of: record.directory, workspace: record.workspaceId)) { _, new in new }
        variables.merge(own) { _, new in new }
        variables.merge(launch.variables) { _, new in new }
        variables["BERTH_AGENT_SESSION_ID"] = record.id.text
        variables["BERTH_WORKSPACE_ID"] = record.workspaceId.text
        for name in launch.removed { variables[name] = nil }
        request = SpawnRequest(
            id: record.child,
            arguments: launch.arguments,
            environment: variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
            directory: record.directory,
            user: layout.agentIdentity,
            input: launch.input == nil ? .pipe : .descriptor,
            privileges: layout.agentPrivileges
        )
    }

    func start(_ services: Services) async throws -> Child {
        let file = try launch.input.map { bytes throws(BerthError) in try MemoryFile(bytes) }
        return try await services.holder.spawn(request, input: file?.descriptor)
    }

    /// The failure in terms of sessions, with the way out.
    func explained(_ error: BerthError) -> BerthError {
        let program = launch.arguments.first ?? ""
        switch error.code {
        case .programMissing, .programNotExecutable:
            return BerthError(
                .agentMissing,
                record.agent == .claude || record.agent == .codex
                    ? "the \(program) CLI is not installed in the environment"
                    : "'\(program)' cannot be started in the environment",
                remedy: "install it in the environment, so that '\(program)' is on its PATH",
                detail: error.detail
            )
        case .directoryUnusable:
            return BerthError(
                .notFound,
                "the workspace's checkout '\(record.directory)' is not there",
                remedy: "see 'berth ws show'",
                detail: error.detail
            )
        default: return error
        }
    }
}
