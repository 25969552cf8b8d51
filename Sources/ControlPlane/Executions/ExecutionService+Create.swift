import Base
import Database
import Domain
import FoundationEssentials
import OpenSSL
import WorkerProtocol

/// The answer to a request to run something.
public struct CreatedExecution: Sendable {
    public var execution: ExecutionRecord
    /// false when an earlier request with the same idempotency key made it.
    public var isNew: Bool
    /// The feed's position after it.
    public var seq: Int64?
}

extension ExecutionService {
    /// Records the execution. With a free worker at hand it is assigned in the same transaction and sent before this
    /// returns; otherwise it is queued and its environment woken.
    public func create(_ request: NewExecution) async throws -> CreatedExecution {
        try request.validate()
        let id: ExecutionID = ids.make()
        let sealed = try sealing.seal(request, id: id)
        let key = AttemptKey(id, 1)
        var worker = reserve(request, key)
        if worker == nil, let environment = request.environmentID {
            if let reason = try await environments.wake(environment, organization: request.organizationID) {
                throw BerthError(.conflict, reason.message, field: "environment", remedy: reason.remedy)
            }
        }
        // Before the commit, from which on it can be ended. What is queued is the dispatcher's to begin.
        var isInFlight = worker != nil && inFlight.begin(key)
        defer {
            if isInFlight { inFlight.end(id) }
            // Given back, it was passed over while it was in flight.
            if queue.mayHaveWaiting { dispatchBell.ring() }
        }
        let outcome: (stored: StoredExecution, isNew: Bool, seq: Int64?)
        do {
            outcome = try await insert(request, id, sealed, worker)
        } catch is HeldWorker.Moved {
            if let gone = worker {
                workers.release(gone.workerID, key)
                await workers.withdraw(gone.workerID, gone.fence)
            }
            worker = nil
            outcome = try await insert(request, id, sealed, nil)
        } catch {
            if let worker { workers.release(worker.workerID, key) }
            throw error
        }
        if let worker {
            let input = input(of: request, hasSecrets: sealed.secrets != nil)
            if outcome.isNew, Task.isCancelled {
                isInFlight = false
                left.add(LeftAssignments.Left(key: key, stored: outcome.stored, input: input, worker: worker))
                dispatchBell.ring()
            } else if outcome.isNew {
                await send(key, outcome.stored, input, to: worker)
            } else {
                workers.release(worker.workerID, key)
            }
        } else if outcome.isNew {
            if let deadlineAt = outcome.stored.record.deadlineAt { deadlines.note(deadlineAt) }
            dispatchBell.ring()
        }
        return CreatedExecution(execution: try titled(outcome.stored), isNew: outcome.isNew, seq: outcome.seq)
    }

    private func reserve(_ request: NewExecution, _ key: AttemptKey) -> WorkerCandidate? {
        let wanted = DispatchPlan.Wanted(
            id: key.executionID,
            organizationID: request.organizationID,
            environmentID: request.environmentID,
            agent: request.spec.agent,
            capabilities: request.spec.capabilities
        )
        let candidates = workers.candidates()
        guard let index = DispatchPlan.best(for: wanted, of: candidates) else { return nil }
        return workers.reserve(candidates[index].workerID, for: key) ? candidates[index] : nil
    }

    private func insert(_ request: NewExecution, _ id: ExecutionID, _ sealed: SealedInput, _ worker: WorkerCandidate?)
        async throws -> (StoredExecution, Bool, Int64?)
    {
        do {
            return try await insertOnce(request, id, sealed, worker)
        } catch let error as BerthError where error.code == .conflict && request.idempotencyKey != nil {
            // Another server may have taken the same key meanwhile: what it made is there to be found now.
            return try await insertOnce(request, id, sealed, worker)
        }
    }

    private func insertOnce(
        _ request: NewExecution,
        _ id: ExecutionID,
        _ sealed: SealedInput,
        _ worker: WorkerCandidate?
    ) async throws -> (StoredExecution, Bool, Int64?) {
        let now = time.now
        let times = times
        let spec = try ExecutionFact.text(request.spec)
        let hash = request.idempotencyKey == nil ? [] : SHA256.hash(Array(try Self.fingerprint(request, spec).utf8))
        var machine = ExecutionMachine.created(
            at: now,
            times: times,
            retry: request.spec.retry,
            timeoutMs: request.spec.caps.timeoutMs
        )
        if let worker {
            _ = try machine.assign(
                AttemptClaim(attempt: 1, workerID: worker.workerID, instance: worker.instance, assignedAt: now)
            )
        }
        let start = machine
        let new = StoredExecution(request, id, sealed, machine, at: now)
        let held = worker.map { HeldWorker(workerID: $0.workerID, fence: $0.fence) }
        let database = database
        let committed = try await feed.transaction(organization: request.organizationID) { transaction in
            if let known = try request.origin?.execution(request.organizationID, transaction) {
                return (try Self.existing(known, request, times: times, in: transaction), false)
            }
            if let key = request.idempotencyKey {
                let known = try transaction.first(
                    ExecutionStore.claimKey,
                    request.organizationID,
                    request.ownerID,
                    key
                )
                if let known {
                    return (try Self.repeated(known, hash, request, times: times, in: transaction), false)
                }
                try transaction.post(
                    ExecutionStore.insertKey,
                    request.organizationID,
                    request.ownerID,
                    key,
                    hash,
                    id,
                    now
                )
            }
            try transaction.post(
                ExecutionStore.insert,
                id,
                request.organizationID,
                request.ownerID,
                request.environmentID,
                request.workspaceID,
                request.personaID,
                request.spec.agent.rawValue,
                start.state.rawValue,
                spec,
                sealed.title,
                request.spec.model,
                start.claim?.attempt ?? 0,
                now,
                start.claim?.assignedAt,
                start.deadlineAt,
                now,
                request.spec.needs,
                request.retryOf
            )
            if let letter = request.retryOf {
                try DeadLetterStore.markRetried(letter, as: id, request.organizationID, in: transaction)
            }
            try transaction.post(
                ExecutionStore.insertInput,
                id,
                request.organizationID,
                request.ownerID,
                sealed.command,
                sealed.secrets,
                sealed.prompt
            )
            try request.origin?.record(id, at: now, in: transaction)
            if let claim = start.claim {
                try held?.check(in: transaction, database.dialect)
                try transaction.post(
                    ExecutionStore.insertAttempt,
                    ExecutionStore.values(of: claim, new.record),
                    orThrow: nil
                )
            }
            transaction.record(
                try ExecutionFact.event("execution.created", new.record, by: request.ownerID, at: now)
            )
            if start.claim != nil {
                transaction.record(try ExecutionFact.event("execution.assigned", new.record, by: nil, at: now))
            }
            return (new, true)
        }
        return (committed.value.0, committed.value.1, committed.seq)
    }

    private static func repeated(
        _ known: Row,
        _ hash: [UInt8],
        _ request: NewExecution,
        times: ExecutionTimes,
        in transaction: FeedTransaction
    ) throws -> StoredExecution {
        guard try known.blob("request_hash") == hash else {
            throw BerthError(
                .conflict,
                "this key was used for another request",
                field: "Idempotency-Key",
                remedy: "use a new key for each new request"
            )
        }
        return try existing(try known.id("subject"), request, times: times, in: transaction)
    }

    private static func existing(
        _ id: ExecutionID,
        _ request: NewExecution,
        times: ExecutionTimes,
        in transaction: FeedTransaction
    ) throws -> StoredExecution {
        guard let row = try transaction.first(ExecutionStore.byID, id, request.organizationID) else {
            throw unknown(id)
        }
        return try ExecutionStore.stored(row, times: times)
    }

    /// What makes two requests the same one. Values of variables are left out: only their sealed form is stored.
    private static func fingerprint(_ request: NewExecution, _ spec: String) throws -> String {
        struct Fingerprint: Encodable {
            var spec: String
            var prompt: String
            var command: [String]?
            var names: [String]
            var environment: EnvironmentID?
            var persona: String?
        }
        return try ExecutionFact.text(
            Fingerprint(
                spec: request.spec.workspace == nil ? spec : request.spec.agent.rawValue,
                prompt: request.prompt,
                command: request.command,
                names: request.environment.reveal().keys.sorted(),
                environment: request.environmentID,
                persona: request.personaID
            )
        )
    }
}

extension StoredExecution {
    /// As the row is read again once it is written.
    convenience init(
        _ request: NewExecution,
        _ id: ExecutionID,
        _ sealed: SealedInput,
        _ machine: ExecutionMachine,
        at now: Timestamp
    ) {
        self.init(
            record: ExecutionRecord(
                id: id,
                organizationID: request.organizationID,
                ownerID: request.ownerID,
                environmentID: request.environmentID,
                workspaceID: request.workspaceID,
                personaID: request.personaID,
                spec: request.spec,
                state: machine.state,
                title: "",
                attempt: machine.claim?.attempt ?? 0,
                workerID: machine.claim?.workerID,
                createdAt: now,
                assignedAt: machine.claim?.assignedAt,
                stateEnteredAt: now,
                deadlineAt: machine.deadlineAt,
                failures: 0,
                retryOf: request.retryOf,
                version: 1
            ),
            titleSealed: sealed.title,
            instance: machine.claim?.instance,
            machine: machine,
            mayHaveSecrets: sealed.secrets != nil
        )
    }
}
