import Base
import Domain
import Environments
import Executions
import Workspaces

// Workspaces that stick are ended, and their remotes looked at.
extension Composition {
    func addWorkspaces(to group: inout ThrowingTaskGroup<Void, any Error>) {
        let keeper = WorkspaceKeeper(
            core.workspaces,
            bridge: core,
            interval: core.configuration.syncInterval,
            randomness: SystemRandomness()
        )
        group.addTask { [self] in try await keeping("workspaces") { try await keeper.run() } }
    }
}

extension ServerCore: WorkspaceBridge {
    func hasLiveExecution(_ workspace: WorkspaceID, organization: OrganizationID) async throws -> Bool {
        try await !liveExecutions(workspace, organization: organization).isEmpty
    }

    func liveExecutions(_ workspace: WorkspaceID, organization: OrganizationID) async throws -> [ExecutionRecord] {
        let living = ExecutionFilter(states: [.queued, .assigned, .running], workspaceID: workspace)
        return try await executions.list(living, organization: organization, visibleTo: nil, limit: 200).executions
    }

    func sync(_ workspace: WorkspaceRecord) async throws -> SyncReport? {
        let environment = try await environments.get(
            workspace.environmentID,
            organization: workspace.organizationID,
            visibleTo: nil
        )
        guard environment.state == .running, let link = try? channels(of: environment) else { return nil }
        return try await sync(workspace, through: link)
    }
}
