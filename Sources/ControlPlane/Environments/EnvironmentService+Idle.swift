public import Base
import Database
public import Domain

// Rule 10: what nobody uses is put to rest, with its evidence. Decided where the environment's worker is connected.
extension EnvironmentService {
    private static let idlePause = Duration.seconds(15)
    /// A worker that has said nothing for longer is away: nobody knows what goes on.
    private static let reportAge = Duration.seconds(90)
    /// Its row may have been changed by another server.
    private static let longestWait = Duration.seconds(300)
    private static let answerTime = Duration.seconds(10)
    private static let decidedAtOnce = 16

    /// What goes on in an environment, by its worker's own look. Called for every heartbeat.
    public func workerSaw(
        _ report: ActivityReport,
        in environment: EnvironmentID,
        _ organization: OrganizationID,
        instance: Int64
    ) {
        activity.note(report, of: environment, organization, instance: instance, at: time.now)
        reports.ring(environment)
    }

    /// Puts to rest what is idle, until cancelled.
    public func runIdle() async throws {
        while true {
            do {
                try await restIdle()
            } catch {
                try Task.checkCancellation()
                log.error("looking for idle environments failed", ["error": "\(error)"])
            }
            try await time.wait(for: Self.idlePause)
        }
    }

    /// One look at everything that is due.
    public func restIdle() async throws {
        let due = activity.due(at: time.now)
        // Not all at once: each asks its worker and waits for the answer.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, id) in due.enumerated() {
                if index >= Self.decidedAtOnce { try await group.next() }
                group.addTask { try await self.consider(id) }
            }
            try await group.waitForAll()
        }
        try await stopPaused()
    }

    /// It rests when the last of its workspaces may: each has its own time, or the environment's.
    func policy(of record: EnvironmentRecord, in connection: any SQLConnection) throws -> IdlePolicy {
        let canPause = (try? instances.capabilities(of: record.spec.provider).pause != PauseSupport.none) ?? false
        let wishes = try connection.first(EnvironmentStore.autoStopWishes, record.id)
        return IdlePolicy(
            autoStopMinutes: IdlePolicy.minutes(
                of: record.autoStopMinutes,
                wished: try wishes?.optionalInt("minutes"),
                withoutWish: try wishes?.int("others") ?? 0
            ),
            idleStopMinutes: record.idleStopMinutes,
            canPause: canPause
        )
    }

    /// What it loses when nobody uses it, where that is more than it was told.
    static func idleLimitations(_ capabilities: ProviderCapabilities, _ autoStopMinutes: Int?) -> [String] {
        guard capabilities.pause == .none, let autoStopMinutes else { return [] }
        return [
            "unused for \(autoStopMinutes) minutes it is stopped, because it cannot be paused: files stay, processes end"
        ]
    }

    /// The latest use that is known: what the worker saw, who came, and when it came up.
    func lastUse(of record: EnvironmentRecord, _ entry: ActivityBoard.Entry?) -> Timestamp {
        var moments = [record.lastActiveAt ?? record.createdAt]
        if let entry, let seen = IdleEvidence.lastUse(of: entry.report, at: entry.at) { moments.append(seen) }
        if record.state == .running { moments.append(record.stateEnteredAt) }
        return moments.max() ?? record.createdAt
    }

    private func consider(_ id: EnvironmentID) async throws {
        guard let entry = activity.entry(id) else { return }
        let now = time.now
        guard let stored = try await database.find(byID, id, entry.organizationID),
            stored.record.instance == entry.instance, stored.record.state != .destroyed
        else { return activity.forget(id) }
        let record = stored.record
        guard record.state == .running, record.desired == .running, now < entry.at + Self.reportAge else {
            return activity.look(at: id, notBefore: now + Self.idlePause)
        }
        let use = lastUse(of: record, entry)
        if use >= (record.lastActiveAt ?? record.createdAt) + .seconds(60) { try await note(use, of: id) }
        let policy = try await database.read { try self.policy(of: record, in: $0) }
        switch policy.verdict(entry.report, lastUse: use, at: now) {
        case .inUse: activity.look(at: id, notBefore: now + .seconds(60))
        case .wait(let due): activity.look(at: id, notBefore: min(due ?? .distant, now + Self.longestWait))
        case .rest:
            activity.look(at: id, notBefore: now + .seconds(60))
            do {
                try await rest(record)
            } catch let error as BerthError where [.stale, .illegalTransition, .notFound].contains(error.code) {
                log.debug("environment had moved on", ["environment_id": id, "reason": error.message])
            }
        }
    }

    /// It seems idle: given nothing new from here on, its worker is asked once more, and what it says then decides.
    private func rest(_ record: EnvironmentRecord) async throws {
        workers.setDraining(true, environment: record.id)
        var rested: EnvironmentRecord?
        do {
            let count = try await openCount(in: record)
            if count == 0, let entry = try await freshReport(of: record) { rested = try await rest(record, entry) }
        } catch {
            workers.setDraining(false, environment: record.id)
            throw error
        }
        guard let rested else { return workers.setDraining(false, environment: record.id) }
        log.info("environment is idle", ["environment_id": rested.id, "wanted": rested.desired])
        await tell(rested)
        jobs.wake()
    }

    private func rest(_ record: EnvironmentRecord, _ entry: ActivityBoard.Entry) async throws -> EnvironmentRecord? {
        let now = time.now
        return try await withMovingRows {
            try await feed.transaction(organization: record.organizationID) {
                [self] transaction -> EnvironmentRecord? in
                let stored = try read(record.id, record.organizationID, in: transaction)
                guard stored.record.instance == entry.instance, stored.record.state == .running,
                    stored.record.desired == .running
                else { return nil }
                let use = lastUse(of: stored.record, entry)
                guard
                    case .rest(let action, let rule) = try policy(of: stored.record, in: transaction)
                        .verdict(entry.report, lastUse: use, at: now)
                else { return nil }
                let uses = IdleEvidence.uses(of: entry.report, at: entry.at)
                let evidence = IdleEvidence(action, rule, lastUseAt: use, decidedAt: now, uses: uses)
                return try rest(stored, evidence, in: transaction)
            }
            .value
        }
    }

    /// What was paused, and is not used for as long as its owner's tier lets it be, is stopped.
    private func stopPaused() async throws {
        let (now, times, replica) = (time.now, times, replica)
        let overdue = try await database.read { connection in
            try connection.rows(EnvironmentStore.pausedTooLong, replica, now).map {
                try EnvironmentStore.stored($0, times: times).record
            }
        }
        for record in overdue {
            let changed = try await withMovingRows {
                try await feed.transaction(organization: record.organizationID) {
                    [self] transaction -> EnvironmentRecord? in
                    let stored = try read(record.id, record.organizationID, in: transaction)
                    guard stored.record.version == record.version else { return nil }
                    let use = stored.record.lastActiveAt ?? stored.record.stateEnteredAt
                    let evidence = IdleEvidence(.stop, .idleStop, lastUseAt: use, decidedAt: now, uses: [])
                    return try rest(stored, evidence, in: transaction)
                }
                .value
            }
            guard let changed else { continue }
            log.info("environment is idle", ["environment_id": changed.id, "wanted": changed.desired])
            await tell(changed)
            jobs.wake()
        }
    }

    private func rest(_ stored: StoredEnvironment, _ evidence: IdleEvidence, in transaction: FeedTransaction) throws
        -> EnvironmentRecord
    {
        let now = evidence.decidedAt
        var machine = stored.machine
        try machine.want(evidence.action == .pause ? .paused : .stopped, at: now)
        let payload = try EnvironmentStore.text(evidence)
        try transaction.run(EnvironmentStore.used, stored.record.id, evidence.lastUseAt)
        try transaction.run(EnvironmentStore.rested, stored.record.id, payload)
        let after = try write(machine, over: stored, at: now, in: transaction)
        transaction.record(
            NewEvent(
                Self.restedEvent,
                subject: after.record.id,
                ownerID: after.record.ownerID,
                payload: payload,
                at: now
            )
        )
        try demand(after, at: now, in: transaction)
        return after.record
    }

    static let restedEvent = "environment.rested"

    /// What its workers hold, and what is on its way to them.
    func openCount(in record: EnvironmentRecord) async throws -> Int {
        max(
            workers.heldCount(in: record.id),
            try await observer.openCount(in: record.id, organization: record.organizationID)
        )
    }

    /// What its worker says now; nil where it says nothing in time.
    private func freshReport(of record: EnvironmentRecord) async throws -> ActivityBoard.Entry? {
        let bell = reports.bell(for: record.id)
        let count = bell.count
        guard await workers.look(environment: record.id, instance: record.instance) else { return nil }
        try await bell.wait(after: count, until: time.uptime + Self.answerTime, time: time)
        guard bell.count > count, let entry = activity.entry(record.id), entry.instance == record.instance else {
            return nil
        }
        return entry
    }

    func note(_ use: Timestamp, of id: EnvironmentID) async throws {
        try await database.write { try $0.run(EnvironmentStore.used, id, use) }
    }
}

extension Timestamp {
    fileprivate static var distant: Timestamp { Timestamp(milliseconds: .max) }
}
