import Base
import Domain
import WorkerProtocol
import Workers

// As `ExecutionService`: creating, cancelling, dispatching, keeping deadlines; and as `WorkerRegistry`: who holds what.
extension MachineServer {
    func create(_ order: Plan.Order) throws {
        // The client's idempotency key: it asks again after a crash.
        guard rows[order.index] == nil else { return }
        let id = Self.executionIDs[order.index]
        let machine = ExecutionMachine.created(
            at: world.wall,
            times: ExecutionTimes(),
            retry: order.retry,
            timeoutMs: order.timeoutMs
        )
        do { try requireStorage() } catch { return world.add(.create(order.index), after: 500) }
        world.add(.create(order.index), after: 2000)
        try point()
        rows[order.index] = Row(order: order, id: id, machine: machine)
        sync()
        world.trace("server: order \(order.index) is created")
        try world.oracle.stored(order.index, machine, report: nil, at: world.now)
        try point()
        noteDeadline(machine.deadlineAt)
        ring()
    }

    func cancel(_ order: Plan.Order) throws {
        guard let row = rows[order.index] else { return world.add(.cancel(order.index), after: 500) }
        do {
            try change(row.id) { try $0.cancel(by: "user", at: world.wall) }
            try world.oracle.cancelAccepted(order.index)
        } catch let error as BerthError {
            if error.code == .unavailable { world.add(.cancel(order.index), after: 500) }
        } catch {
            // The client hears nothing and asks again.
            world.add(.cancel(order.index), after: 500)
            throw error
        }
    }

    func ring() {
        if let known = dispatchAt, known <= world.now { return }
        dispatchAt = world.now
        add(.dispatch, after: 0)
    }

    func dispatch() throws {
        var isWaiting = false
        for row in rows.compactMap({ $0 }) {
            guard case .queued(_, let attempts, let notBefore, _) = row.machine.status else { continue }
            if let notBefore, notBefore > world.wall {
                isWaiting = true
                continue
            }
            let free = Self.workerIDs.filter { freeSlots($0) > 0 }
                .max { (freeSlots($0), $1) < (freeSlots($1), $0) }
            guard let worker = free else {
                isWaiting = true
                continue
            }
            let attempt = world.mistakes.contains(.reuseAttemptNumber) ? max(1, attempts) : attempts + 1
            try settle { try assign(row, attempt, to: worker) }
            // The database was busy.
            if rows[row.order.index]?.machine.state == .queued { isWaiting = true }
        }
        guard isWaiting else { return }
        dispatchAt = world.now + 5000
        add(.dispatch, after: 5000)
    }

    private func assign(_ row: Row, _ attempt: Int, to worker: WorkerID) throws {
        let key = AttemptKey(row.id, attempt)
        entries[worker]?.held[row.id] = attempt
        do {
            try change(row.id) { machine in
                if world.mistakes.contains(.reuseAttemptNumber),
                    case .queued(let since, _, _, let deadline) = machine.status
                {
                    machine = ExecutionMachine(
                        status: .queued(since: since, attempts: attempt - 1, notBefore: nil, deadlineAt: deadline),
                        times: machine.times,
                        retry: machine.retry,
                        timeoutMs: machine.timeoutMs
                    )
                }
                return try machine.assign(
                    AttemptClaim(attempt: attempt, workerID: worker, instance: nil, assignedAt: world.wall)
                )
            }
        } catch let error as BerthError {
            release(worker, key)
            throw error
        }
        live[key] = worker
        try point()
        guard let connection = entries[worker]?.connection, let link = links[connection.number] else {
            return try settle { try change(row.id) { try $0.giveBack(attempt: attempt, at: world.wall) } }
        }
        link.session.assigned(key)
        var message = ServerMessage.Assign(
            executionId: row.id.text,
            personaId: "",
            prompt: String(row.order.index),
            env: [:],
            config: .init(timeoutMs: row.order.timeoutMs ?? 0, maxOutputBytes: row.order.headBytes)
        )
        message.attempt = attempt
        connection.sendDown(.message(.assign(message)), world)
    }

    // MARK: - Deadlines

    func noteDeadline(_ deadline: Timestamp?) {
        guard let deadline else { return }
        wakeForDeadlines(after: max(0, min((deadline - world.wall).wholeMilliseconds, 60_000)))
    }

    private func wakeForDeadlines(after delay: Int64) {
        let at = world.now + delay
        if let known = deadlinesAt, known <= at { return }
        deadlinesAt = at
        add(.deadlines, after: delay)
    }

    func keepDeadlines() throws {
        guard let at = deadlinesAt, at <= world.now else { return }
        deadlinesAt = nil
        for row in rows.compactMap({ $0 }) where row.machine.deadlineAt.map({ $0 <= world.wall }) ?? false {
            try settle { try change(row.id) { $0.expire(at: world.wall) } }
        }
        try recover()
        let open = rows.compactMap { $0?.machine }.filter { !$0.state.isTerminal }
        guard !open.isEmpty else { return }
        let next = open.compactMap(\.deadlineAt).min() ?? world.wall + .seconds(60)
        // What is due and could not be written is tried again soon; a changed clock is noticed within a minute.
        wakeForDeadlines(after: min(max(2000, (next - world.wall).wholeMilliseconds), 60_000))
    }

    /// What workers hold by the books is expected back within 90 s.
    func recover() throws {
        guard !world.mistakes.contains(.deadlineNotRearmed) else { return }
        let lostAt = world.uptime + ProtocolLimits.lostAfter
        for row in rows.compactMap({ $0 }) {
            guard let claim = row.machine.claim else { continue }
            var entry = entries[claim.workerID] ?? Entry(connection: nil, number: 0, lostAt: lostAt)
            if entry.connection == nil { entry.held[row.id] = claim.attempt }
            entries[claim.workerID] = entry
            if entry.connection == nil, let at = entry.lostAt { add(.giveUpLost, at: at) }
        }
    }

    func giveUpLost() throws {
        for worker in Self.workerIDs {
            guard let entry = entries[worker], entry.connection == nil, let lostAt = entry.lostAt,
                lostAt <= world.uptime
            else { continue }
            entries[worker] = nil
            for id in entry.held.keys.sorted() {
                let key = AttemptKey(id, entry.held[id] ?? 0)
                do {
                    try lose(key, worker, "its worker was not heard")
                } catch let error as BerthError where error.code == .unavailable {
                    entries[worker, default: Entry(connection: nil, number: 0, lostAt: world.uptime + .seconds(5))]
                        .held[id] = key.attempt
                    add(.giveUpLost, after: 5000)
                }
            }
        }
    }

    func lose(_ key: AttemptKey, _ worker: WorkerID, _ why: String) throws {
        let reason = FailureReason(.infrastructureLost, why)
        do {
            try change(key.executionID, worker: worker) { machine in
                if world.mistakes.contains(.retryAfterStart), let claim = machine.claim, machine.cancelRequest == nil {
                    machine = ExecutionMachine(
                        status: .queued(
                            since: world.wall,
                            attempts: claim.attempt,
                            notBefore: nil,
                            deadlineAt: world.wall + machine.times.queued
                        ),
                        times: machine.times,
                        retry: machine.retry,
                        timeoutMs: machine.timeoutMs
                    )
                    return [.releaseSlot(claim), .sendForget(claim), .dispatch]
                }
                return try machine.lose(attempt: key.attempt, reason, at: world.wall)
            }
        } catch let error as BerthError where error.code != .unavailable {
            world.trace("server: too late: \(error.message)")
        }
    }

    // MARK: - Slots

    func freeSlots(_ worker: WorkerID) -> Int {
        guard let entry = entries[worker], entry.connection != nil, entry.isReady else { return 0 }
        return max(0, entry.slots - entry.held.count)
    }

    func release(_ worker: WorkerID, _ key: AttemptKey) {
        guard var entry = entries[worker], entry.held[key.executionID] == key.attempt else { return }
        entry.held[key.executionID] = nil
        entries[worker] = entry.connection == nil && entry.held.isEmpty ? nil : entry
    }
}
