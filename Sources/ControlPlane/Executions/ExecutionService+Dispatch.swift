import Base
import Database
import Domain
import FoundationEssentials
import WorkerProtocol

/// What a worker is given, in the clear; lives only until it is sent.
struct PlainInput: Sendable {
    var prompt: String
    var command: [String]?
    var secrets: Secret<ExecutionSecrets>
}

// Loops of the composition root's task group.
extension ExecutionService {
    /// Dispatches and keeps deadlines until cancelled. Begins with what an earlier process left open.
    public func run() async throws {
        try await recover()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.dispatchLoop() }
            group.addTask { try await self.deadlineLoop() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// What workers hold by the books is expected back within 90 s.
    func recover() async throws {
        let times = times
        let open = try await database.read { connection in
            try connection.rows(ExecutionStore.open, values: []).map { try ExecutionStore.stored($0, times: times) }
        }
        let lostAt = time.uptime + ProtocolLimits.lostAfter
        for stored in open {
            guard let claim = stored.machine.claim else { continue }
            let key = AttemptKey(stored.record.id, claim.attempt)
            if live[key] == nil { enliven(key, stored.record, claim.workerID) }
            workers.expect(
                claim.workerID,
                organization: stored.record.organizationID,
                holding: key,
                lostAt: lostAt
            )
        }
    }

    func dispatchLoop() async throws {
        // Assignments are children: a worker that reads slowly holds up nobody else's.
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let count = dispatchBell.count
                var isWaiting = true
                do {
                    for (stored, worker, key) in try await plan() {
                        group.addTask { await self.assign(stored, key, to: worker) }
                    }
                    isWaiting = try await database.read { try $0.first(ExecutionStore.anyQueued) } != nil
                } catch {
                    try Task.checkCancellation()
                    log.error("dispatch failed", ["error": "\(error)"])
                }
                // Origins 4.8: nobody free is looked at again after 5 s, besides every notification.
                let pause: Duration = isWaiting ? .seconds(5) : .seconds(3600)
                try await dispatchBell.wait(after: count, until: time.uptime + pause, time: time)
            }
        }
    }

    /// One round: what goes where, with the slots taken; wakes the environments of what has no worker.
    private func plan() async throws -> [(StoredExecution, WorkerCandidate, AttemptKey)] {
        guard try await database.read({ try $0.first(ExecutionStore.anyQueued) }) != nil else { return [] }
        let candidates = workers.candidates()
        let queued = try await queued(for: candidates)
        let wanted = queued.map { stored in
            DispatchPlan.Wanted(
                id: stored.record.id,
                organizationID: stored.record.organizationID,
                environmentID: stored.record.environmentID,
                agent: stored.record.spec.agent,
                capabilities: stored.record.spec.capabilities
            )
        }
        var taken: [(StoredExecution, WorkerCandidate, AttemptKey)] = []
        for match in DispatchPlan.match(wanted, candidates) {
            guard let stored = queued.first(where: { $0.record.id == match.execution }),
                let worker = candidates.first(where: { $0.workerID == match.worker }),
                inFlight.begin(match.execution)
            else { continue }
            let key = AttemptKey(match.execution, stored.record.attempt + 1)
            if workers.reserve(worker.workerID, for: key) {
                taken.append((stored, worker, key))
            } else {
                inFlight.end(match.execution)
            }
        }
        try await wakeEnvironments(besides: candidates)
        return taken
    }

    private func queued(for candidates: [WorkerCandidate]) async throws -> [StoredExecution] {
        let times = times
        return try await database.read { connection in
            var queued: [StoredExecution] = []
            var seen: Set<ExecutionID> = []
            for candidate in candidates {
                let rows =
                    if let environment = candidate.environmentID {
                        try connection.rows(
                            ExecutionStore.queuedIn,
                            environment,
                            candidate.organizationID,
                            candidate.freeSlots
                        )
                    } else {
                        // More than its slots: some may ask for what this worker cannot do.
                        try connection.rows(
                            ExecutionStore.queuedAlone,
                            candidate.organizationID,
                            candidate.freeSlots + 100
                        )
                    }
                for row in rows {
                    let stored = try ExecutionStore.stored(row, times: times)
                    if !inFlight.contains(stored.record.id), seen.insert(stored.record.id).inserted {
                        queued.append(stored)
                    }
                }
            }
            return queued
        }
    }

    private func wakeEnvironments(besides candidates: [WorkerCandidate]) async throws {
        let waiting = try await database.read { connection in
            try connection.rows(ExecutionStore.waitingEnvironments).map { row in
                (
                    try row.id(EnvironmentKind.self, "environment_id"),
                    try row.id(OrganizationKind.self, "organization_id")
                )
            }
        }
        for (environment, organization) in waiting
        where !candidates.contains(where: { $0.environmentID == environment }) {
            var refusal: FailureReason?
            do {
                refusal = try await environments.wake(environment, organization: organization)
            } catch let error as BerthError where error.code == .notFound {
                refusal = FailureReason(.environmentLost, "its environment is gone")
            }
            guard let reason = refusal else { continue }
            try await refuseQueued(in: environment, organization, reason)
        }
    }

    private func refuseQueued(in environment: EnvironmentID, _ organization: OrganizationID, _ reason: FailureReason)
        async throws
    {
        let rows = try await database.read { connection in
            try connection.rows(ExecutionStore.queuedIn, environment, organization, 1000)
                .map { try $0.id(ExecutionKind.self, "id") }
        }
        let now = time.now
        for id in rows {
            await settle(id) {
                try await change(id, organization) { machine, _ in try machine.refuse(reason, at: now) }
            }
        }
    }

    /// The slot is taken; given back when the execution was cancelled, or taken, since it was read.
    private func assign(_ stored: StoredExecution, _ key: AttemptKey, to worker: WorkerCandidate) async {
        defer {
            inFlight.end(key.executionID)
            // It may be queued again, passed over while it was in flight.
            dispatchBell.ring()
        }
        let record = stored.record
        let claim = AttemptClaim(
            attempt: key.attempt,
            workerID: worker.workerID,
            instance: worker.instance,
            assignedAt: time.now
        )
        do {
            let input = try await input(of: record)
            let change = try await change(record.id, record.organizationID) { machine, _ in try machine.assign(claim) }
            await send(key, change.stored, input, to: worker)
        } catch {
            workers.release(worker.workerID, key)
            let error = BerthError(wrapping: error)
            log.info("execution not assigned", ["execution_id": record.id, "error": "\(error)"])
            guard [.sealBroken, .sealKeyUnknown].contains(error.code) else { return }
            // It can never be read again; waiting would not help.
            let now = time.now
            await settle(record.id) {
                try await change(record.id, record.organizationID) { machine, _ in
                    try machine.refuse(FailureReason(error), at: now)
                }
            }
        }
    }

    /// The row says assigned: sends it. A worker that has gone meanwhile never had it, so it is queued again.
    func send(_ key: AttemptKey, _ stored: StoredExecution, _ input: PlainInput, to worker: WorkerCandidate) async {
        let record = stored.record
        enliven(key, record, worker.workerID)
        if let deadlineAt = record.deadlineAt { deadlines.note(deadlineAt) }
        let isDocumented = worker.protocolVersion == nil
        let isSent = await workers.assign(
            key,
            message(record, key, input, isDocumented: isDocumented),
            to: worker.workerID
        )
        await tellWorkspace(record)
        let now = time.now
        if !isSent {
            await settle(record.id) {
                try await change(record.id, record.organizationID) { machine, _ in
                    try machine.giveBack(attempt: key.attempt, at: now)
                }
            }
        } else if isDocumented {
            // Such a peer never says that it has begun.
            await settle(record.id) { try await started(key, worker: worker.workerID, at: now) }
        }
    }

    func enliven(_ key: AttemptKey, _ record: ExecutionRecord, _ worker: WorkerID) {
        live.add(
            key,
            LiveAttempts.Live(
                organizationID: record.organizationID,
                ownerID: record.ownerID,
                workerID: worker,
                outputLimit: record.spec.caps.maxOutputBytes
            )
        )
    }

    private func message(_ record: ExecutionRecord, _ key: AttemptKey, _ input: PlainInput, isDocumented: Bool)
        -> ServerMessage.Assign
    {
        let spec = record.spec
        let secrets = input.secrets.reveal()
        var message = ServerMessage.Assign(
            executionId: record.id.text,
            personaId: record.personaID ?? "",
            prompt: input.prompt,
            env: secrets.env,
            config: ServerMessage.Config(
                // 0 says that there is no limit; a documented peer is given a year.
                timeoutMs: spec.caps.timeoutMs ?? (isDocumented ? 31_536_000_000 : 0),
                maxOutputBytes: spec.caps.maxOutputBytes
            )
        )
        guard !isDocumented else { return message }
        message.attempt = key.attempt
        message.agent = ServerMessage.AgentAssignment(
            kind: spec.agent,
            command: input.command,
            workingDirectory: spec.workingDirectory,
            model: spec.model,
            maxTurns: spec.caps.maxTurns,
            maxCostUSD: spec.caps.maxCostUSD,
            resumeAgentSessionID: spec.resumeAgentSessionID
        )
        message.workspace = spec.workspace
        message.gitCredentials = secrets.git.isEmpty ? nil : secrets.git
        message.ssh = secrets.ssh
        return message
    }

    func input(of request: NewExecution) throws -> PlainInput {
        PlainInput(
            prompt: request.prompt,
            command: request.command,
            secrets: Secret(
                ExecutionSecrets(
                    env: request.environment.reveal(),
                    git: request.gitCredentials.reveal(),
                    ssh: request.ssh?.reveal()
                )
            )
        )
    }

    private func input(of record: ExecutionRecord) async throws -> PlainInput {
        let (id, organization) = (record.id, record.organizationID)
        let row = try await database.read { try $0.first(ExecutionStore.input, id, organization) }
        guard let row else { throw Self.unknown(id) }
        let prompt = try sealing.open(try row.blob("prompt_sealed"), "prompt", id, organization)
        let command = try row.optionalBlob("command_sealed").map {
            try JSONDecoder().decode([String].self, from: Data(try sealing.open($0, "command", id, organization)))
        }
        let secrets = try row.optionalBlob("secrets_sealed").map {
            try JSONDecoder().decode(
                ExecutionSecrets.self,
                from: Data(try sealing.open($0, "secrets", id, organization))
            )
        }
        return PlainInput(
            prompt: String(decoding: prompt, as: UTF8.self),
            command: command,
            secrets: Secret(secrets ?? ExecutionSecrets(env: [:], git: []))
        )
    }

    /// Runs a change that may come too late; that is no error here.
    func settle(_ id: ExecutionID, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch let error as BerthError where [.stale, .illegalTransition, .notFound].contains(error.code) {
            log.debug("execution had moved on", ["execution_id": id, "reason": error.message])
        } catch {
            // The row keeps its state and its deadline, which will act.
            log.error("execution not changed", ["execution_id": id, "error": "\(error)"])
        }
    }

    private func settle(_ id: ExecutionID, _ body: () async throws -> Change) async {
        await settle(id) { _ = try await body() }
    }
}

// Deadlines.
extension ExecutionService {
    func deadlineLoop() async throws {
        while true {
            let count = deadlines.bell.count
            var next: Timestamp?
            do {
                next = try await keepDeadlines()
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
}
