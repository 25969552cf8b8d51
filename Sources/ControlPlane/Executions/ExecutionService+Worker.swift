public import Base
import Database
public import Domain
import FoundationEssentials
public import WorkerProtocol

// What workers say. Every call is fenced by attempt and worker.
extension ExecutionService {
    public func started(_ key: AttemptKey, worker: WorkerID, at: Timestamp) async throws {
        let owner = try await owner(of: key, worker)
        try await change(key.executionID, owner.organizationID, known: owner.seen, worker: worker) {
            machine,
            _ in
            try machine.start(attempt: key.attempt, at: at)
        }
    }

    public func progress(_ key: AttemptKey, worker: WorkerID, stage: String, message: String) async throws {
        struct Progress: Encodable {
            var attempt: Int
            var stage: String
            var message: String
        }
        let progress = Progress(
            attempt: key.attempt,
            stage: String(stage.prefix(100)),
            message: String(message.prefix(2000))
        )
        try await record("execution.progress", try ExecutionFact.text(progress), key, worker)
    }

    public func personaEvent(_ key: AttemptKey, worker: WorkerID, type: String, payload: JSONValue) async throws {
        struct PersonaEvent: Encodable {
            var attempt: Int
            var eventType: String
            var payload: JSONValue
        }
        let event = PersonaEvent(attempt: key.attempt, eventType: String(type.prefix(100)), payload: payload)
        let text = try ExecutionFact.text(event)
        guard text.utf8.count <= 256 << 10 else {
            log.warning("event of an execution is too large", ["execution_id": key.executionID])
            return
        }
        try await record("execution.event", text, key, worker)
    }

    private func record(_ type: String, _ payload: String, _ key: AttemptKey, _ worker: WorkerID) async throws {
        let owner = try await owner(of: key, worker)
        let now = time.now
        _ = try await feed.transaction(organization: owner.organizationID) { transaction in
            transaction.record(
                NewEvent(type, subject: key.executionID, ownerID: owner.ownerID, payload: payload, at: now)
            )
        }
        bells.ring(key.executionID, .changed)
    }

    public func completed(
        _ key: AttemptKey,
        worker: WorkerID,
        _ report: ExecutionReport,
        startedAt: Timestamp?
    ) async throws {
        let owner = try await owner(of: key, worker)
        inFlight.noteReport(key)
        let report = try await withMarks(report, key, owner)
        let now = time.now
        let change = try await change(
            key.executionID,
            owner.organizationID,
            known: owner.seen,
            worker: worker,
            report: report,
            startedAt: startedAt
        ) { machine, _ in
            try machine.report(attempt: key.attempt, report.report, at: now)
        }
        guard change.seq == nil else { return lateDigests.add(report.lateDigests(of: key)) }
        // The end that stands was recorded without the worker's word, or is heard a second time.
        live.remove(key)
        if workers.release(worker, key) { dispatchBell.ring() }
        await workers.forget(key, at: worker)
    }

    public func lost(_ keys: [AttemptKey], worker: WorkerID, _ fence: WorkerFence, _ reason: FailureReason)
        async throws
    {
        let now = time.now
        let held = HeldWorker(workerID: worker, fence: fence)
        for key in keys {
            await settle(key.executionID) {
                let organization = try await organization(of: key, worker)
                try await change(key.executionID, organization, worker: worker, by: held) { machine, _ in
                    try machine.lose(attempt: key.attempt, reason, at: now)
                }
            }
        }
    }

    public func workerReady(_ worker: WorkerID) async {
        dispatchBell.ring()
        await repeatCancels(worker)
    }

    /// A cancel that was asked for while the worker was away.
    private func repeatCancels(_ worker: WorkerID) async {
        for key in live.held(by: worker) {
            guard let live = live[key] else { continue }
            let (organization, times) = (live.organizationID, times)
            let stored = try? await database.read { connection -> StoredExecution? in
                try connection.first(ExecutionStore.byID, key.executionID, organization).map {
                    try ExecutionStore.stored($0, times: times)
                }
            }
            guard let stored, stored.machine.cancelRequest != nil, stored.machine.claim?.attempt == key.attempt else {
                continue
            }
            await workers.cancel(key, at: worker)
        }
    }

    /// Who an open attempt belongs to. Throws `stale` when it is no longer this worker's, or has ended.
    func owner(of key: AttemptKey, _ worker: WorkerID) async throws -> LiveAttempts.Live {
        if let live = live[key] {
            guard live.workerID == worker else {
                throw BerthError.stale("worker", held: worker, current: live.workerID)
            }
            return live
        }
        let row = try await database.read { connection in
            try connection.first(ExecutionStore.attemptOwner, key.executionID, key.attempt)
        }
        guard let row, try row.optionalID("worker_id") == worker else {
            throw BerthError.stale("attempt", held: key, current: "ended, or another")
        }
        let spec = try JSONDecoder().decode(ExecutionSpec.self, from: Data(try row.text("spec").utf8))
        let found = LiveAttempts.Live(
            organizationID: try row.id("organization_id"),
            ownerID: try row.id("owner_id"),
            workerID: worker,
            outputLimit: spec.caps.maxOutputBytes
        )
        live.add(key, found)
        return found
    }

    private func organization(of key: AttemptKey, _ worker: WorkerID) async throws -> OrganizationID {
        try await owner(of: key, worker).organizationID
    }
}

// Hello.
extension ExecutionService {
    /// What the worker names is resumed, forgotten or killed; what the books say it holds and it does not name is given
    /// back (it never began) or lost (it had).
    public func resume(
        worker: WorkerID,
        organization: OrganizationID,
        fence: WorkerFence,
        attempts: [WorkerMessage.AttemptPosition]?,
        keepsBooks: Bool
    ) async throws -> WorkerResume {
        let times = times
        let open = try await database.read { connection in
            try connection.rows(ExecutionStore.heldByWorker, worker, organization).map {
                try ExecutionStore.stored($0, times: times)
            }
        }
        for stored in open { enliven(AttemptKey(stored.record.id, stored.record.attempt), stored, worker) }
        let books = open.map { AttemptKey($0.record.id, $0.record.attempt) }
        guard let attempts else { return WorkerResume(points: [], held: books) }
        var resume = WorkerResume(points: [], held: [])
        for position in attempts {
            let key = AttemptKey(position.executionId, position.attempt)
            var point = ServerMessage.ResumePoint(
                executionId: key.executionID,
                attempt: key.attempt,
                action: position.hasEnded ? .forget : .kill,
                stdout: 0,
                stderr: 0
            )
            if books.contains(key) {
                point.action = .resume
                point.stdout = try await output.length(key, .stdout)
                point.stderr = try await output.length(key, .stderr)
                resume.held.append(key)
            }
            resume.points.append(point)
        }
        await settleMissing(
            open.filter { stored in
                !attempts.contains { $0.executionId == stored.record.id && $0.attempt == stored.record.attempt }
            },
            HeldWorker(workerID: worker, fence: fence),
            keepsBooks: keepsBooks
        )
        return resume
    }

    public func goneSince(_ keys: [AttemptKey], worker: WorkerID, organization: OrganizationID) async throws
        -> [AttemptKey]
    {
        guard !keys.isEmpty else { return [] }
        let held = try await database.read { connection in
            try connection.rows(ExecutionStore.heldByWorker, worker, organization).map { row in
                AttemptKey(try row.id("id"), try row.int("attempt"))
            }
        }
        let gone = keys.filter { !held.contains($0) }
        for key in gone { live.remove(key) }
        return gone
    }

    private func settleMissing(_ missing: [StoredExecution], _ held: HeldWorker, keepsBooks: Bool) async {
        let now = time.now
        let reason = FailureReason(
            .infrastructureLost,
            keepsBooks ? "its worker came back without it" : "another process took the name of its worker"
        )
        let notBefore = keepsBooks ? nil : now + ProtocolLimits.lostAfter
        for stored in missing {
            let (id, attempt) = (stored.record.id, stored.record.attempt)
            await settle(id) {
                try await change(id, stored.record.organizationID, worker: held.workerID, by: held) { machine, record in
                    record.state == .assigned && keepsBooks
                        ? try machine.giveBack(attempt: attempt, at: now)
                        : try machine.lose(attempt: attempt, reason, notBefore: notBefore, at: now)
                }
            }
        }
    }
}
