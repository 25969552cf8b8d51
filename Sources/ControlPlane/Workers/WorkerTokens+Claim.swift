public import Base
public import Database
public import Domain
import FoundationEssentials
import WorkerProtocol

// Environments that were nobody's become somebody's.
extension WorkerTokens {
    public func claim(environment: EnvironmentID, instance: Int64, within limit: Duration) async throws {
        guard let entry = registry.entry(environment: environment, instance: instance), let link = entry.link,
            entry.isReady
        else { throw BerthError(.unavailable, "its worker is away") }
        guard entry.candidate.capabilities.contains(ServerMessage.claimCapability) else {
            throw BerthError(.unsupported, "its worker cannot be claimed")
        }
        let message = ServerMessage.Claim(
            claim: Hex.encode(randomness.bytes(16)),
            entropy: Data(randomness.bytes(32)).base64EncodedString(),
            timestamp: time.now.milliseconds
        )
        try await link.claim(message, within: limit)
    }

    public func setNetwork(_ policy: NetworkPolicy, environment: EnvironmentID, instance: Int64) async {
        await registry.entry(environment: environment, instance: instance)?.link?.tell(policy)
    }

    public func hand(
        _ environment: EnvironmentID,
        to organization: OrganizationID,
        owner: UserID?,
        in connection: any SQLConnection
    ) throws {
        try connection.run(WorkerStore.hand, environment, organization, owner)
    }

    public func handed(
        _ environment: EnvironmentID,
        instance: Int64,
        to organization: OrganizationID,
        owner: UserID?
    ) async {
        await registry.hand(environment: environment, instance: instance, to: organization)?
            .belong(to: organization, owner: owner)
    }
}
