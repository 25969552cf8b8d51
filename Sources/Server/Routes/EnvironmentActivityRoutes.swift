import API
import Base
import Domain
import Environments
import Transport

/// `/v1/environments/{environmentId}/activity`.
extension ServerCore {
    func environmentActivity(_ context: RequestContext) async throws -> HTTPResponse {
        let principal = try context.principal
        let activity = try await environments.activity(
            of: try await environment(context).id,
            organization: principal.organizationID,
            visibleTo: principal.visibleUser
        )
        let record = activity.environment
        var answer = EnvironmentActivity(
            status: record.state.rawValue,
            lastUseAt: activity.lastUseAt,
            isInUse: activity.isInUse,
            rests: activity.rests
        )
        answer.uses = activity.uses
        answer.reportedAt = activity.reportedAt
        answer.autoStopMinutes = record.autoStopMinutes
        answer.idleStopMinutes = record.idleStopMinutes
        answer.restsAt = activity.restsAt
        answer.nextRest = activity.nextRest
        return try Self.json(answer)
    }
}
