public import Base
import Database
public import Domain

// Tiers, and the time that an environment has.
extension EnvironmentService {
    /// Of a user, or with nil of the organization for what belongs to it.
    public func quota(_ organization: OrganizationID, user: UserID?) async throws -> QuotaUsage {
        try await database.read { [quotas] connection in
            try quotas.usage(organization, user?.text ?? organization.text, in: connection)
        }
    }

    /// Takes effect at once for what is made from now on; for what there is, its idle time does.
    public func setTier(_ tier: Tier, organization: OrganizationID, user: UserID?, by actor: UserID) async throws
        -> QuotaUsage
    {
        let holder = user?.text ?? organization.text
        let now = time.now
        return try await feed.transaction(organization: organization) { [quotas] transaction in
            try transaction.run(QuotaBook.open, organization, holder)
            try transaction.run(QuotaBook.setTier, organization, holder, tier.name)
            try transaction.run(EnvironmentStore.setIdleStop, organization, holder, tier.idleStopMinutes)
            transaction.record(
                NewEvent(
                    "quota.changed",
                    subject: holder,
                    ownerID: user,
                    actorID: actor,
                    payload: try EnvironmentStore.text(["tier": tier.name]),
                    at: now
                )
            )
            return try quotas.usage(organization, holder, in: transaction)
        }
        .value
    }

    /// It is destroyed at `moment` unless that is moved again; nil: never.
    public func extend(
        _ id: EnvironmentID,
        until moment: Timestamp?,
        organization: OrganizationID,
        by user: UserID,
        visibleTo: UserID?
    ) async throws -> EnvironmentRecord {
        let record = try await get(id, organization: organization, visibleTo: visibleTo)
        let now = time.now
        if let moment, moment <= now {
            throw BerthError(.invalidValue, "that time has passed", field: "expiresAt", remedy: "name a later one")
        }
        guard record.desired != .destroyed else {
            throw BerthError.illegal("environment", from: record.state, to: "extended")
        }
        let after = try await feed.transaction(organization: organization) { [self] transaction in
            try transaction.run(EnvironmentStore.extend, id, moment)
            let after = try read(id, organization, in: transaction).record
            transaction.record(try Self.fact("environment.extended", after, by: user, at: now))
            return after
        }
        .value
        bells.ring(id)
        return after
    }

    /// Destroys what has had its time. Part of the reconciler.
    func lapse() async throws {
        let (now, times, replica) = (time.now, times, replica)
        let lapsed = try await database.read { connection in
            try connection.rows(EnvironmentStore.lapsed, replica, now).map {
                try EnvironmentStore.stored($0, times: times).record
            }
        }
        for record in lapsed {
            log.info("environment has expired", ["environment_id": record.id])
            do {
                try await change(
                    record.id,
                    record.organizationID,
                    message: "it has had its time",
                    interrupts: true
                ) { try $0.want(.destroyed, at: now) }
            } catch let error as BerthError where [.notFound, .illegalTransition].contains(error.code) {
                log.debug("environment had moved on", ["environment_id": record.id])
            }
        }
    }

    /// Where its provider or its server is gone for good: everything of it in the books ends at once. What is left of it
    /// on a machine that comes back is removed there.
    public func destroyByForce(
        _ id: EnvironmentID,
        organization: OrganizationID,
        by user: UserID,
        visibleTo: UserID?
    ) async throws -> EnvironmentRecord {
        let record = try await get(id, organization: organization, visibleTo: visibleTo)
        guard record.state != .destroyed else { return record }
        let now = time.now
        log.warning("environment given up by force", ["environment_id": id, "state": record.state])
        // The wish first: nothing is given to it, and a call that is under way is broken off.
        try await change(id, organization, actor: user, interrupts: true) { try $0.want(.destroyed, at: now) }
        try await ended(record, "its environment was given up by force")
        return try await change(
            id,
            organization,
            actor: user,
            message: "given up by force, without its provider",
            interrupts: true
        ) { machine in
            if machine.state == .destroyed { return }
            _ = machine.begin(at: now)
            try machine.destroyed()
        }
        .record
    }
}
