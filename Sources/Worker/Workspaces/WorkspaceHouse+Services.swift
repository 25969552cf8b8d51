internal import Base
internal import Relay
internal import WorkerProtocol

extension WorkspaceHouse {
    /// nil: the call is for somebody else.
    func start(_ request: ServiceRequest) async throws -> ServiceStart? {
        if let call = try request.as(WorkspaceSyncCall.self) { return await ServiceReply.make { try await sync(call) } }
        if let call = try request.as(WorkspaceRunCall.self) { return await ServiceReply.make { try await run(call) } }
        if let call = try request.as(WorkspaceLookCall.self) { return await ServiceReply.make { try look(call) } }
        if let call = try request.as(WorkspaceArchiveCall.self) {
            return await ServiceReply.make { try await archive(call) }
        }
        if let call = try request.as(WorkspaceForgetCall.self) {
            return await ServiceReply.make { try await forget(call) }
        }
        return nil
    }
}
