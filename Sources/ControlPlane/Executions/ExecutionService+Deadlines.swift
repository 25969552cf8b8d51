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
            // At most a minute, so that a changed wall clock is noticed, and deadlines that another server has set.
            let idle: Duration = workers.seat.isShared ? .seconds(60) : .seconds(3600)
            let pause = next.map { max(.zero, min($0 - time.now, .seconds(60))) } ?? idle
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

    /// Others' workers have passed to this server: what they hold is expected from now on.
    public func lookAround() { deadlines.bell.ring() }

    /// What workers that were connected here last hold by the books is expected back within 90 s: after a restart of the
    /// server, after the death of another whose workers this one took over, and ever again in case a connection was lost
    /// between two of our own steps. What ran in an incarnation that is over ends: the server that saw its end may have died
    /// before it had told all of it. Returns how much is held.
    @discardableResult
    public func recover() async throws -> Int {
        let rows = try await database.read { [seat = workers.seat] connection in
            try connection.rows(ExecutionStore.held, seat.id).map { row in
                (
                    key: AttemptKey(try row.id("id"), try row.int("attempt")),
                    worker: try row.id(WorkerKind.self, "worker_id"),
                    organization: try row.id(OrganizationKind.self, "organization_id"),
                    connection: try row.integer("connection"),
                    isOver: try row.bool("is_over")
                )
            }
        }
        for row in rows where row.isOver { await endWithIncarnation(row.key, row.organization, row.worker) }
        let lostAt = time.uptime + ProtocolLimits.lostAfter
        for row in rows where !row.isOver {
            workers.expect(
                row.worker,
                organization: row.organization,
                connection: row.connection,
                holding: row.key,
                lostAt: lostAt
            )
        }
        return rows.count
    }

    private func endWithIncarnation(_ key: AttemptKey, _ organization: OrganizationID, _ worker: WorkerID) async {
        let now = time.now
        let reason = FailureReason(.environmentLost, "its environment had ended")
        await settle(key.executionID) {
            try await change(key.executionID, organization, worker: worker) { machine, _ in
                try machine.lose(attempt: key.attempt, reason, at: now)
            }
        }
    }
}
