internal import AgentProtocol
internal import Base
internal import BerthCore
internal import Domain
internal import HolderProtocol
internal import Subprocess
internal import WorkerProtocol

/// The process of an agent: its arguments, its environment, its input.
struct AgentProcess: Sendable {
    let arguments: [String]
    let environment: [String: String]
    let input: [UInt8]?

    init(order: AttemptOrder, key: AttemptKey, layout: EnvironmentLayout) throws(BerthError) {
        let request = AgentRequest(
            kind: order.record.agent,
            prompt: order.prompt,
            command: order.agent.command,
            model: order.agent.model,
            caps: order.record.caps,
            resumeAgentSessionID: order.agent.resumeAgentSessionID
        )
        for (name, value) in order.variables.sorted(by: { $0.key < $1.key }) {
            guard !name.isEmpty, !name.contains("="), !name.utf8.contains(0), !value.utf8.contains(0) else {
                throw BerthError(
                    .invalidValue,
                    "'\(name.prefix(80))' cannot be an environment variable",
                    field: "env",
                    remedy: "a name has no '=' and neither name nor value a NUL byte"
                )
            }
        }
        let launch = try AgentAdapters.adapter(for: request.kind)
            .launch(request, variables: Set(order.variables.keys))
        var environment = layout.baseVariables
        environment["TMPDIR"] = order.record.temporaryDirectory
        environment.merge(launch.defaults) { _, new in new }
        environment.merge(order.variables) { _, new in new }
        for name in launch.removed { environment[name] = nil }
        environment["BERTH_EXECUTION_ID"] = key.executionID.text
        environment["BERTH_ATTEMPT"] = "\(key.attempt)"
        arguments = launch.arguments
        input = launch.input
        self.environment = environment
    }

    func start(in directory: String, key: AttemptKey, services: Services) async throws -> Child {
        let file = try input.map { bytes throws(BerthError) in try MemoryFile(bytes) }
        return try await services.holder.spawn(
            SpawnRequest(
                id: key.description,
                arguments: arguments,
                environment: environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
                directory: directory,
                user: services.layout.agentIdentity,
                input: file == nil ? .null : .descriptor,
                privileges: services.layout.agentPrivileges
            ),
            input: file?.descriptor
        )
    }
}
