import Base
import Database
import Domain
import WorkerProtocol

// Deadlines.
extension ExecutionService {
    func deadlineLoop() async throws {
        while true {
            let count = deadlines.bell.count
            var next: Timestamp?
            let began = time.now
            do {
                next = try await keepDeadlines()
                if try await recover() > 0 { next = min(next ?? time.now + .seconds(60), time.now + .seconds(60)) }
                // What was due and still is could not be written: the disk is full, or the database is busy.
                if let overdue = next, overdue <= began { next = began + .seconds(2) }
            } catch {
                try Task.checkCancellation()
                log.error("deadlines not kept", ["error": "\(error)"])
                next = time.now + .seconds(5)
            }
            // At most a minute, so that a changed wall clock is noticed.
            let pause = next.map { max(.zero, min($0 - time.now, .seconds(60))) } ?? .seconds(3600)
            try await deadlines.bell.wait(after: count, until: time.uptime + pause, time: time)
        }
    }

    /// Ends what is overdue; returns the next deadline.
    func keepDeadlines() async throws -> Timestamp? {
        let now = time.now
        let due = try await database.read { connection in
            try connection.rows(ExecutionStore.due, now).map { row in
                (try row.id(ExecutionKind.self, "id"), try row.id(OrganizationKind.self, "organization_id"))
            }
        }
        for (id, organization) in due {
            await settle(id) { try await change(id, organization) { machine, _ in machine.expire(at: now) } }
        }
        let next = try await database.read { try $0.first(ExecutionStore.nextDeadline)?.optionalTimestamp("at") }
        deadlines.reset(to: next ?? nil)
        return next ?? nil
    }

    /// What workers hold by the books is expected back within 90 s: after a restart of the server, and ever again in case
    /// a connection was lost between two of our own steps. Returns how much is held.
    @discardableResult
    func recover() async throws -> Int {
        let times = times
        let open = try await database.read { connection in
            try connection.rows(ExecutionStore.open, values: []).map { try ExecutionStore.stored($0, times: times) }
        }
        let lostAt = time.uptime + ProtocolLimits.lostAfter
        for stored in open {
            guard let claim = stored.machine.claim else { continue }
            let key = AttemptKey(stored.record.id, claim.attempt)
            workers.expect(
                claim.workerID,
                organization: stored.record.organizationID,
                holding: key,
                lostAt: lostAt
            )
        }
        return open.count
    }
}
