public import Environments
public import Executions
public import Jobs
public import Workers
public import Workspaces

// Domains do not know each other: what one needs of another is wired here, and could be wrapped here.

extension WorkerRegistry: WorkerPool {}

extension WorkerTokens: WorkerAdmission {}

extension ExecutionService: AttemptBridge, EnvironmentObserver {}

extension EnvironmentService: InstanceBridge, EnvironmentWaking, JobHandler {}

extension JobService: EnvironmentJobs {}

extension WorkspaceService: WorkspaceObserver {}
