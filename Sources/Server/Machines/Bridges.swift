import Base
import Domain
import Environments
import Executions
import Workers

// Domains do not know each other: what one needs of another is wired here, and could be wrapped here.

extension WorkerRegistry: WorkerPool {}

extension ExecutionService: AttemptBridge {}

/// What executions need of environments.
struct EnvironmentWaker: EnvironmentWaking {
    let environments: LateBinding<EnvironmentService>

    func wake(_ environment: EnvironmentID, organization: OrganizationID) async throws -> EnvironmentReadiness {
        guard let service = environments.value else { return .coming }
        return try await service.wake(environment, organization: organization).map { .refused($0) } ?? .coming
    }
}

/// What environments need of workers.
struct WorkerGate: WorkerAdmission {
    let workers: WorkerService

    func issueToken(organization: OrganizationID, owner: UserID?, environment: EnvironmentID, instance: Int64)
        async throws -> Secret<String>
    {
        try await workers.issueToken(
            organization: organization, owner: owner, environment: environment, instance: instance)
    }

    func revoke(organization: OrganizationID, owner: UserID?, environment: EnvironmentID, upTo instance: Int64)
        async throws
    {
        try await workers.revoke(organization: organization, owner: owner, environment: environment, upTo: instance)
    }

    func isReady(environment: EnvironmentID, instance: Int64) -> Bool {
        workers.registry.isReady(environment: environment, instance: instance)
    }
}

/// Who is told what becomes of environments.
struct EnvironmentWatcher: EnvironmentObserver {
    let executions: ExecutionService

    func environmentEnded(
        _ environment: EnvironmentID,
        organization: OrganizationID,
        instance: Int64,
        _ reason: FailureReason
    ) async throws {
        try await executions.environmentEnded(
            environment, organization: organization, instance: instance, reason)
    }

    func openCount(in environment: EnvironmentID, organization: OrganizationID) async throws -> Int {
        try await executions.openCount(in: environment, organization: organization)
    }

    func environmentChanged(_ environment: EnvironmentRecord) async { executions.environmentChanged() }
}

/// Tells executions and environments that a worker can take work.
struct AttemptDoor: AttemptBridge {
}
