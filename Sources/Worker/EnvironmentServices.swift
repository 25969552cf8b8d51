internal import Base
internal import Relay
internal import WorkerProtocol

/// What this worker offers on channels of the server's: one place that knows all names.
struct EnvironmentServices: ChannelServices {
    let terminals: TerminalHouse
    let sessions: AgentSessionHouse
    let workspaces: WorkspaceHouse
    let ssh: SSHServer
    let files: FileHouse
    let repositories: RepositoryHouse
    let processes: ProcessHouse
    let handOvers: HandOverHouse
    let logins: LoginChecks

    func start(_ request: ServiceRequest) async throws -> ServiceStart {
        if let call = try request.as(TerminalCreation.self) { return await answer { try await terminals.create(call) } }
        if try request.as(TerminalListing.self) != nil { return await answer { await terminals.list() } }
        if let call = try request.as(TerminalEnding.self) { return await answer { try await terminals.end(call) } }
        if let call = try request.as(TerminalAttachment.self) { return try await terminals.view(call) }
        if let call = try request.as(SessionCreation.self) { return await answer { try await sessions.create(call) } }
        if let call = try request.as(SessionListing.self) { return await answer { await sessions.list(call) } }
        if let call = try request.as(SessionDeed.self) { return await answer { try await sessions.perform(call) } }
        if let call = try request.as(SessionAttachment.self) { return try await sessions.follow(call) }
        if try request.as(SSHPreparation.self) != nil { return await answer { try await ssh.prepare() } }
        if let call = try request.as(SSHConnection.self) {
            let socket = try await ssh.connect(call)
            return { channel in SocketEnd(socket, channel).begin() }
        }
        if let start = try await workspaces.start(request) { return start }
        if let start = try await work(request) { return start }
        if let start = try await handOver(request) { return start }
        throw BerthError(.unsupported, "this worker has no service '\(request.name)'")
    }

    func answer<Value: Sendable & Codable>(_ body: () async throws -> Value) async -> ServiceStart {
        await ServiceReply.make(body)
    }
}
