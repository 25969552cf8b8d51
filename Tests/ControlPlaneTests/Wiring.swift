public import Environments
public import Executions
public import Jobs
public import Workers
public import Workspaces

// As the server wires them.
extension WorkerRegistry: WorkerPool {}
extension WorkerTokens: WorkerAdmission {}
extension ExecutionService: AttemptBridge, EnvironmentObserver {}
extension EnvironmentService: InstanceBridge, EnvironmentWaking, JobHandler {}
extension JobService: EnvironmentJobs {}
extension WorkspaceService: WorkspaceObserver {}
