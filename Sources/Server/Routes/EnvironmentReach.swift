import Base
import Database
import Domain
import Environments
import Relay
import Transport
import WorkerProtocol
import Workers

/// The way into an environment for those who want to work in it.
extension ServerCore {
    /// How long a boot or a resume may take before the caller is told to come again.
    private static let wakeTime = Duration.seconds(90)

    /// The environment of the request, running: one that is paused or stopped is woken, and waited for.
    func awake(_ context: RequestContext) async throws -> EnvironmentRecord {
        let principal = try context.principal
        var record = try await environment(context)
        switch record.state {
        case .paused, .pausing:
            record = try await environments.resume(
                record.id,
                organization: principal.organizationID,
                by: principal.userID,
                visibleTo: principal.visibleUser
            )
        case .stopped, .stopping:
            record = try await environments.start(
                record.id,
                organization: principal.organizationID,
                by: principal.userID,
                visibleTo: principal.visibleUser
            )
        default: break
        }
        let deadline = time.uptime + Self.wakeTime
        while true {
            let position = try await feed.position(principal.organizationID)
            record = try await environment(context)
            switch record.state {
            case .running where (try? channels(of: record)) != nil: return record
            case .running, .requested, .provisioning, .starting, .pausing, .paused, .stopping, .stopped: break
            case .error, .destroying, .destroyed: throw Self.notRunning(record)
            }
            guard time.uptime < deadline else { throw Self.notRunning(record) }
            // A worker's arrival is no change of the environment's, so the wait is short where only that is missing.
            let patience: Duration = record.state == .running ? .milliseconds(50) : .seconds(5)
            try await waitForChange(
                principal.organizationID,
                after: position,
                atMost: min(patience, deadline - time.uptime)
            )
        }
    }

    /// The channels of the environment's worker, which has services. Throws `unavailable` while it is away.
    func channels(of record: EnvironmentRecord) throws(BerthError) -> LinkChannels {
        guard record.state == .running else { throw Self.notRunning(record) }
        let link = try workers.socket(
            environment: record.id,
            instance: record.instance,
            having: ServiceRequest.capability
        )
        guard let link = link as? WebSocketLink else {
            throw BerthError(.internal, "the worker's link is no WebSocket")
        }
        return link.channels
    }

    static func notRunning(_ record: EnvironmentRecord) -> BerthError {
        switch record.state {
        case .running:
            BerthError(.unavailable, "the worker of \(record.name) is away; it comes back by itself", isRetryable: true)
        case .requested, .provisioning, .starting, .pausing, .stopping:
            BerthError(.unavailable, "\(record.name) is still \(record.state)", isRetryable: true)
        default:
            BerthError(
                .illegalTransition,
                "\(record.name) is \(record.state)",
                remedy: "see 'berth env show \(record.name)'"
            )
        }
    }
}
