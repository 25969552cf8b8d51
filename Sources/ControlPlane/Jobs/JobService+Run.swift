import Base
import Database
import Domain

// The loops of the composition root's task group.
extension JobService {
    /// Gives jobs their turns until cancelled.
    public func run(_ handler: any JobHandler) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for queue in WorkQueue.allCases { group.addTask { try await self.queueLoop(queue, handler) } }
            group.addTask { try await self.lookLoop(handler) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Before the server stops: takes no more, and gives back what it has, so that others need not wait for its lease to run
    /// out and the turn does not count. What still runs here finds its claim gone.
    public func handBack() async {
        running.stop()
        guard let holder else { return }
        do {
            try await database.write { [self] connection in
                let now = time.now
                for row in try connection.rows(JobStore.heldBy, holder.replica, holder.fence) {
                    let record = try JobStore.record(row, policies)
                    var machine = machine(record)
                    try machine.handBack(attempt: record.attempt, at: now)
                    guard try write(machine, over: record, at: now, in: connection) else { continue }
                    try end(record.claim(holder), .handedBack, nil, at: now, in: connection)
                }
            }
        } catch {
            log.warning("jobs not given back", ["error": "\(error)"])
        }
    }

    /// nil while this server may not act.
    private var holder: JobHolder? {
        guard seat.isActing(at: time.uptime), let fence = seat.fence else { return nil }
        return JobHolder(replica: seat.id, fence: fence)
    }

    /// Between looks for what no bell of this process tells: other servers' jobs, and those that they left.
    private var interval: Duration { database.dialect.isShared ? .seconds(1) : .seconds(30) }

    // MARK: Turns

    private func queueLoop(_ queue: WorkQueue, _ handler: any JobHandler) async throws {
        let slots = JobSlots(policy(queue).concurrency)
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let count = bell.count
                var next = time.uptime + interval
                while !running.isStopping, slots.take() {
                    switch await take(queue) {
                    case .job(let claim, let interruption):
                        group.addTask {
                            await self.work(claim, handler, interruption)
                            slots.give()
                            self.bell.ring()
                        }
                        continue
                    case .nothing(until: let at):
                        if let at { next = min(next, time.uptime + max(.milliseconds(1), at - time.now)) }
                    }
                    slots.give()
                    break
                }
                try await bell.wait(after: count, until: next, time: time)
            }
        }
    }

    private enum Taken {
        case job(JobClaim, interruption: Wakeup)
        case nothing(until: Timestamp?)
    }

    /// A database that does not answer ends nothing that runs.
    private func take(_ queue: WorkQueue) async -> Taken {
        do {
            guard let holder else { return .nothing(until: time.now + .seconds(1)) }
            let next = try await database.read { connection in
                try connection.first(JobStore.nextRun, queue.rawValue, holder.replica)?.optionalTimestamp("run_at")
            }
            guard let next else { return .nothing(until: nil) }
            guard next <= time.now else { return .nothing(until: next) }
            running.willClaim()
            let claim: JobClaim?
            do {
                claim = try await self.claim(queue, holder)
            } catch {
                running.claimedNothing()
                throw error
            }
            guard let claim else {
                running.claimedNothing()
                return .nothing(until: time.now + .milliseconds(50))
            }
            return .job(claim, interruption: running.begin(claim))
        } catch {
            if !Task.isCancelled { log.warning("no job taken", ["queue": queue, "error": "\(error)"]) }
            return .nothing(until: time.now + .seconds(1))
        }
    }

    /// nil: others were quicker.
    private func claim(_ queue: WorkQueue, _ holder: JobHolder) async throws -> JobClaim? {
        do {
            return try await database.write { [self] connection -> JobClaim? in
                let now = time.now
                guard let row = try connection.first(store.candidate, queue.rawValue, holder.replica, now) else {
                    return nil
                }
                var record = try JobStore.record(row, policies)
                var machine = machine(record)
                try machine.claim(by: holder, at: now)
                guard try write(machine, over: record, failure: record.failure, at: now, in: connection) else {
                    return nil
                }
                try connection.run(
                    JobStore.insertAttempt,
                    record.id,
                    machine.attempt,
                    record.organizationID,
                    holder.replica,
                    now
                )
                record.attempt = machine.attempt
                return record.claim(holder)
            }
        } catch let error as BerthError where error.code == .conflict {
            // Another job of the same thing came first.
            return nil
        }
    }

    private func work(_ claim: JobClaim, _ handler: any JobHandler, _ interruption: Wakeup) async {
        defer { running.end(claim.id) }
        let facts: Log.Facts = [
            "job_id": claim.id, "queue": claim.queue, "action": claim.action, "subject": claim.subject,
            "attempt": claim.attempt,
        ]
        do {
            try await handler.run(claim, interruption: interruption)
            log.debug("job turn over", facts)
        } catch is LostJob {
            log.debug("job passed on", facts)
        } catch {
            // Stopping: it was handed back, or the next start finds it.
            guard !Task.isCancelled else { return }
            log.with(facts).error("job turn broke", ["error": "\(error)"])
        }
    }

    // MARK: What was left behind

    private func lookLoop(_ handler: any JobHandler) async throws {
        while true {
            do {
                try await recover(handler)
                try await passOnInterruptions()
            } catch {
                try Task.checkCancellation()
                log.warning("jobs not looked after", ["error": "\(error)"])
            }
            try await time.wait(for: interval)
        }
    }

    /// Turns whose server is gone come again, or were the last one.
    public func recover(_ handler: any JobHandler) async throws {
        guard let holder, let claims = running.settledClaims else { return }
        let records = try await database.read { [store, policies] connection in
            try connection.rows(store.doubtful, holder.replica).map { try JobStore.record($0, policies) }
        }
        var count = 0
        for record in records where !running.contains(record.id) {
            guard let gone = record.holder, gone != holder || running.settledClaims == claims else { continue }
            let reason = FailureReason(
                .infrastructureLost,
                "the server that ran it went away",
                remedy: "see the log of that server; then 'berth jobs retry \(record.id)'"
            )
            log.warning(
                "job lost its server",
                ["job_id": record.id, "action": record.action, "subject": record.subject, "attempt": record.attempt]
            )
            do {
                try await handler.lost(record.claim(gone), reason)
                count += 1
            } catch is LostJob {
                continue
            }
        }
        if count > 0 { bell.ring() }
    }

    private func passOnInterruptions() async throws {
        guard database.dialect.isShared, !running.isEmpty else { return }
        let replica = seat.id
        let subjects = try await database.read {
            try $0.rows(JobStore.interrupted, replica).map { try $0.text("subject") }
        }
        for subject in subjects { running.interrupt(subject) }
    }
}
