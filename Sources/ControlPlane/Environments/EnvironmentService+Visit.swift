public import Base
import Database
public import Domain
import FoundationEssentials

// Whoever connects, runs something or logs in finds it awake.
extension EnvironmentService {
    /// Wakes it where it rests and returns once it runs and, where its worker connects to this server, can be reached.
    /// Counts as use. Throws `timed_out` after `limit`, and the cause of its error where it cannot come up.
    public func visit(_ id: EnvironmentID, organization: OrganizationID, within limit: Duration) async throws
        -> EnvironmentRecord
    {
        let bell = bells.bell(for: id)
        let deadline = time.uptime + limit
        var isWanted = false
        while true {
            let count = bell.count
            // Written before the look, so that whoever would put it to rest sees it.
            if activity.visit(id, at: time.now) { try await note(time.now, of: id) }
            let record = try await get(id, organization: organization, visibleTo: nil)
            if record.state == .running, record.desired == .running {
                let isHere = replica != record.replicaID || workers.isReady(environment: id, instance: record.instance)
                if isHere || time.uptime >= deadline { return record }
            } else if let reason = try await refusal(record, isWanted: isWanted) {
                throw BerthError(reason.code, reason.message, remedy: reason.remedy)
            }
            isWanted = true
            guard time.uptime < deadline else {
                throw BerthError(
                    .timedOut,
                    "\(record.name) is still \(record.state)",
                    remedy: "see 'berth env why \(record.name)'",
                    isRetryable: true
                )
            }
            // Its worker's coming rings no bell of another server's.
            try await bell.wait(after: count, until: min(deadline, time.uptime + .seconds(1)), time: time)
        }
    }

    /// Why it will not come up; asks for it once.
    private func refusal(_ record: EnvironmentRecord, isWanted: Bool) async throws -> FailureReason? {
        if isWanted, record.desired == .running, record.state != .error { return nil }
        return try await wake(record.id, organization: record.organizationID)
    }

    /// What goes on in an environment, what follows from it and what followed before.
    public struct Activity: Sendable {
        public var environment: EnvironmentRecord
        /// nil: its worker is not connected to this server, or has not spoken yet.
        public var uses: [IdleEvidence.Use]?
        public var reportedAt: Timestamp?
        public var lastUseAt: Timestamp
        /// Something is in progress that is never cut.
        public var isInUse: Bool
        /// When it is put to rest, unless it is used before; nil: not by itself.
        public var restsAt: Timestamp?
        public var nextRest: IdleEvidence.Action?
        /// Newest first.
        public var rests: [IdleEvidence]
    }

    public func activity(of id: EnvironmentID, organization: OrganizationID, visibleTo user: UserID?) async throws
        -> Activity
    {
        let record = try await get(id, organization: organization, visibleTo: user)
        let payloads = try await database.read { connection in
            try connection.rows(EnvironmentStore.rests, organization, id, Self.restedEvent).map {
                try $0.text("payload")
            }
        }
        let rests = try payloads.map { try JSONDecoder().decode(IdleEvidence.self, from: Data($0.utf8)) }
        let entry = activity.entry(id).flatMap { $0.instance == record.instance ? $0 : nil }
        let use = lastUse(of: record, entry)
        let policy = try await database.read { try self.policy(of: record, in: $0) }
        var result = Activity(
            environment: record,
            uses: record.state == .running ? entry.map { IdleEvidence.uses(of: $0.report, at: $0.at) } : nil,
            reportedAt: entry?.at,
            lastUseAt: use,
            isInUse: false,
            restsAt: nil,
            nextRest: nil,
            rests: rests
        )
        switch record.state {
        case .running:
            let verdict = policy.verdict(entry?.report ?? ActivityReport(uses: []), lastUse: use, at: time.now)
            switch verdict {
            case .inUse: result.isInUse = true
            case .wait(let due): result.restsAt = due
            case .rest: result.restsAt = time.now
            }
            result.nextRest = result.restsAt.map { _ in policy.nextAction }
        case .paused:
            result.restsAt = policy.stopAfter.map { use + $0 }
            result.nextRest = result.restsAt.map { _ in .stop }
        default: break
        }
        return result
    }
}
