internal import Base
internal import Relay
internal import WorkerProtocol
internal import WorkspaceCalls
internal import WorkspaceTypes

extension EnvironmentServices {
    /// Files, git and processes; nil for another service.
    func work(_ request: ServiceRequest) async throws -> ServiceStart? {
        if let call = try request.as(FileRequest.self) { return try await files.start(call) }
        if let call = try request.as(GitStatusCall.self) {
            return await answer { try await repositories.status(call) }
        }
        if let call = try request.as(GitDiffCall.self) { return await answer { try await repositories.diff(call) } }
        if let call = try request.as(GitLogCall.self) { return await answer { try await repositories.log(call) } }
        if let call = try request.as(GitCommitCall.self) {
            return await answer { try await repositories.commit(call) }
        }
        if let call = try request.as(GitBranchListCall.self) {
            return await answer { try await repositories.branches(call) }
        }
        if let call = try request.as(GitSwitchCall.self) {
            return await answer { try await repositories.change(call) }
        }
        if let call = try request.as(GitPushCall.self) { return await answer { try await repositories.push(call) } }
        if let call = try request.as(GitPullCall.self) { return await answer { try await repositories.pull(call) } }
        if try request.as(ProcessListing.self) != nil { return await answer { try await processes.list() } }
        if let call = try request.as(ProcessSignal.self) { return await answer { try await processes.signal(call) } }
        return nil
    }
}
