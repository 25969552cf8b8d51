import Base
import Domain
import Environments
import Executions
import Workers
import Workspaces

// Domains do not know each other: what one needs of another is wired here, and could be wrapped here.

extension WorkerRegistry: WorkerPool {}

extension WorkerTokens: WorkerAdmission {}

extension ExecutionService: AttemptBridge, EnvironmentObserver {}

extension EnvironmentService: InstanceBridge, EnvironmentWaking {}

/// Tells workspaces what becomes of the runs in them.
struct WorkspaceKeeper: ExecutionObserver {
    let workspaces: WorkspaceService

    func executionChanged(_ execution: ExecutionRecord) async {
        guard let workspace = execution.workspaceID else { return }
        await workspaces.executionChanged(
            execution.id,
            workspace: workspace,
            organization: execution.organizationID,
            state: execution.state,
            outcome: execution.report?.workspace,
            failure: execution.failure
        )
    }
}
