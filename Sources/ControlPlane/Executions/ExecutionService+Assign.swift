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
    /// Secrets lie sealed beside the row.
    var hasSecrets: Bool
}

// One assignment: its slot is taken, its row is written, its worker is told.
extension ExecutionService {
    /// The slot is taken; given back when the execution was cancelled, or taken, since it was read.
    func assign(_ stored: StoredExecution, _ key: AttemptKey, to worker: WorkerCandidate, _ input: SealedRow?) async {
        defer { if inFlight.end(key.executionID) { dispatchBell.ring() } }
        let record = stored.record
        let claim = AttemptClaim(
            attempt: key.attempt,
            workerID: worker.workerID,
            instance: worker.instance,
            assignedAt: time.now
        )
        do {
            let input = try await self.input(of: record, input)
            let held = HeldWorker(workerID: worker.workerID, fence: worker.fence)
            let change = try await change(record.id, record.organizationID, known: stored, by: held) { machine, _ in
                try machine.assign(claim)
            }
            await send(key, change.stored.knowing(secrets: input.hasSecrets), input, to: worker)
        } catch is HeldWorker.Moved {
            workers.release(worker.workerID, key)
            await workers.withdraw(worker.workerID, worker.fence)
        } catch let error as BerthError where [.illegalTransition, .notFound].contains(error.code) {
            // Another server was first, or it was cancelled.
            workers.release(worker.workerID, key)
            log.debug("execution had moved on", ["execution_id": record.id, "reason": error.message])
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
        enliven(key, stored, worker.workerID, isUntouched: true)
        // It ended between the commit and now, and its worker need never hear of it.
        if inFlight.isOver(key) {
            live.remove(key)
            workers.release(worker.workerID, key)
            return
        }
        if let deadlineAt = record.deadlineAt { deadlines.note(deadlineAt) }
        let isDocumented = worker.protocolVersion == nil
        let isSent = await workers.assign(
            key,
            message(record, key, input, isDocumented: isDocumented),
            to: worker.workerID,
            worker.fence
        )
        // A cancel or an end of the meantime may have overtaken the assignment, and then meant nothing to the worker. One who
        // has told of the end itself is told to forget it when that is recorded, and needs no more words.
        let isOver = inFlight.isOver(key)
        if !inFlight.isReported(key) {
            if isOver || inFlight.wasCancelled(key) { await workers.cancel(key, at: worker.workerID) }
            if isOver { await workers.forget(key, at: worker.workerID) }
        }
        if isOver { return }
        await tellWorkspace(record)
        let now = time.now
        if !isSent {
            live.remove(key)
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

    /// - Parameter isUntouched: it is given out for the first time, so nothing can have been written for it.
    func enliven(_ key: AttemptKey, _ stored: StoredExecution, _ worker: WorkerID, isUntouched: Bool = false) {
        let record = stored.record
        live.add(
            key,
            LiveAttempts.Live(
                organizationID: record.organizationID,
                ownerID: record.ownerID,
                workerID: worker,
                outputLimit: record.spec.caps.maxOutputBytes,
                isUntouched: isUntouched
            )
        )
        live.saw(stored, key)
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

    func input(of request: NewExecution, hasSecrets: Bool) -> PlainInput {
        PlainInput(
            prompt: request.prompt,
            command: request.command,
            secrets: Secret(ExecutionSecrets(request)),
            hasSecrets: hasSecrets
        )
    }

    /// - Parameter read: its row, where that was read before.
    func input(of record: ExecutionRecord, _ read: SealedRow? = nil) async throws -> PlainInput {
        let (id, organization) = (record.id, record.organizationID)
        var row = read
        if row == nil { row = try await database.read { try SealedRow(id, organization, in: $0) } }
        guard let row else { throw Self.unknown(id) }
        let prompt = try sealing.open(row.prompt, "prompt", id, organization)
        let command = try row.command.map {
            try JSONDecoder().decode([String].self, from: Data(try sealing.open($0, "command", id, organization)))
        }
        let secrets = try row.secrets.map {
            try JSONDecoder().decode(
                ExecutionSecrets.self,
                from: Data(try sealing.open($0, "secrets", id, organization))
            )
        }
        return PlainInput(
            prompt: String(decoding: prompt, as: UTF8.self),
            command: command,
            secrets: Secret(secrets ?? ExecutionSecrets(env: [:], git: [])),
            hasSecrets: secrets != nil
        )
    }

    /// Runs a change that may come too late; that is no error here.
    func settle(_ id: ExecutionID, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch let error as BerthError where [.stale, .illegalTransition, .notFound].contains(error.code) {
            log.debug("execution had moved on", ["execution_id": id, "reason": error.message])
        } catch is HeldWorker.Moved {
            log.debug("its worker had moved on", ["execution_id": id])
        } catch {
            // The row keeps its state and its deadline, which will act.
            log.error("execution not changed", ["execution_id": id, "error": "\(error)"])
        }
    }

    private func settle(_ id: ExecutionID, _ body: () async throws -> Change) async {
        await settle(id) { _ = try await body() }
    }
}
