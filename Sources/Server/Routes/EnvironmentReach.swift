import Base
import Domain
import Environments
import Relay
import Transport
import WorkerProtocol
import Workers

/// The way into an environment for those who want to work in it.
extension ServerCore {
    /// How long a boot or a resume may take before the caller is told to come again.
    static let wakeTime = Duration.seconds(90)

    /// The same environment, running: one that rests is woken, and waited for. Counts as use.
    func reached(_ found: EnvironmentRecord) async throws -> EnvironmentRecord {
        try await environments.visit(found.id, organization: found.organizationID, within: Self.wakeTime)
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
