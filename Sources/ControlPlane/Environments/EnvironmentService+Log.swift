public import Base
import Database
import Domain

// The provisioning log: written with every change, read by who may see the environment.
extension EnvironmentService {
    func tell(of after: EnvironmentRecord, before: EnvironmentRecord?, in connection: any SQLConnection) throws {
        guard let (level, message) = ProvisioningLog.line(for: after, before: before) else { return }
        try provisioningLog.add(level, message, to: after.id, in: connection)
    }

    /// Entries later than `seq`, oldest first, with the environment as it was then.
    /// - Parameter isCurrent: only those of what is under way: behind the last thing that succeeded.
    public func provisioningLog(
        _ id: EnvironmentID,
        organization: OrganizationID,
        visibleTo user: UserID?,
        after seq: Int64 = 0,
        isCurrent: Bool = false
    ) async throws -> (record: EnvironmentRecord, entries: [ProvisioningEntry]) {
        let log = provisioningLog
        return try await database.read { [self] connection in
            guard let record = try find(id, organization: organization, visibleTo: user, in: connection) else {
                throw Self.unknown(id)
            }
            var entries = try log.entries(of: id, after: seq, in: connection)
            if isCurrent, seq == 0, let last = entries.lastIndex(where: { $0.level == .success }) {
                entries.removeSubrange(...last)
            }
            return (record, entries)
        }
    }

    /// Rings at every change of the environment and of its log that this server makes or hears of.
    public func bell(for id: EnvironmentID) -> Wakeup { bells.bell(for: id) }
}

extension EnvironmentRecord {
    /// It rests in what is wanted, or in error.
    public var isSettled: Bool {
        !state.isTransitional && (state == .error || state.rawValue == desired.rawValue)
    }
}
