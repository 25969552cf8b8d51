import Base
import Database
import Domain
import FoundationEssentials
import WorkerProtocol

// Loops of the composition root's task group.
extension ExecutionService {
    /// Dispatches and keeps deadlines until cancelled. Begins with what an earlier process left open.
    public func run() async throws {
        try await recover()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.dispatchLoop() }
            group.addTask { try await self.deadlineLoop() }
            group.addTask { try await self.deadLetterLoop() }
            group.addTask { try await self.lateDigestLoop() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    func dispatchLoop() async throws {
        // Assignments are children: a worker that reads slowly holds up nobody else's.
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let count = dispatchBell.count
                var isWaiting = true
                var nextAttempt: Timestamp?
                queue.mayWait(true)
                do {
                    let round = try await plan()
                    for match in round.matches {
                        group.addTask { await self.assign(match.stored, match.key, to: match.worker, match.input) }
                    }
                    (isWaiting, nextAttempt) = (round.isWaiting, round.nextAttempt)
                    try await wakeEnvironments(of: round)
                } catch {
                    try Task.checkCancellation()
                    log.error("dispatch failed", ["error": "\(error)"])
                }
                queue.mayWait(isWaiting)
                let pause = DispatchPlan.pause(
                    isWaiting: isWaiting,
                    isAtCapacity: workers.isAtCapacity,
                    until: nextAttempt.map { $0 - time.now }
                )
                try await dispatchBell.wait(after: count, until: time.uptime + pause, time: time)
            }
        }
    }

    /// What a look at the queue found.
    private struct Round {
        var matches: [Match] = []
        /// Something is queued that was not matched.
        var isWaiting = false
        var nextAttempt: Timestamp?
        /// Environments that something waits for, but for those with a worker.
        var asleep: [(environment: EnvironmentID, organization: OrganizationID)] = []
    }

    private struct Match {
        var stored: StoredExecution
        var worker: WorkerCandidate
        var key: AttemptKey
        var input: SealedRow?
    }

    /// What is queued, as far as it matters to a round.
    private struct Queued {
        var runnable: [StoredExecution] = []
        var waiting: [(environment: EnvironmentID, organization: OrganizationID)] = []
        var nextAttempt: Timestamp?
    }

    /// One round: what goes where, with the slots taken.
    private func plan() async throws -> Round {
        let candidates = workers.candidates()
        guard let queued = try await queued(for: candidates) else { return Round() }
        var round = Round(isWaiting: true, nextAttempt: queued.nextAttempt)
        round.asleep = queued.waiting.filter { waiting in
            !candidates.contains { $0.environmentID == waiting.environment }
        }
        let wanted = queued.runnable.map { stored in
            DispatchPlan.Wanted(
                id: stored.record.id,
                organizationID: stored.record.organizationID,
                environmentID: stored.record.environmentID,
                agent: stored.record.spec.agent,
                capabilities: stored.record.spec.capabilities
            )
        }
        let places = Dictionary(uniqueKeysWithValues: wanted.enumerated().map { ($1.id, $0) })
        let known = Dictionary(uniqueKeysWithValues: candidates.map { ($0.workerID, $0) })
        for match in DispatchPlan.match(wanted, candidates) {
            guard let place = places[match.execution], let worker = known[match.worker] else { continue }
            let stored = queued.runnable[place]
            let key = AttemptKey(match.execution, stored.record.attempt + 1)
            guard inFlight.begin(key, isFromQueue: true) else { continue }
            if workers.reserve(worker.workerID, for: key) {
                round.matches.append(Match(stored: stored, worker: worker, key: key))
            } else {
                inFlight.end(match.execution)
            }
        }
        await readInputs(&round.matches)
        return round
    }

    /// nil when nothing is queued at all.
    private func queued(for candidates: [WorkerCandidate]) async throws -> Queued? {
        let (times, now) = (times, time.now)
        let places = DispatchPlan.places(of: candidates)
        return try await database.read { [inFlight] connection in
            guard try connection.first(ExecutionStore.anyQueued) != nil else { return nil }
            var queued = Queued()
            for place in places {
                for needs in try Self.needs(at: place, connection) {
                    let room = place.workers.reduce(0) { $0 + (DispatchPlan.serves($1, needs) ? $1.freeSlots : 0) }
                    guard room > 0 else { continue }
                    for row in try Self.queued(at: place, needs, room: room, inFlight, at: now, connection) {
                        queued.runnable.append(try ExecutionStore.stored(row, times: times))
                    }
                }
            }
            queued.waiting = try connection.rows(ExecutionStore.waitingEnvironments, now).map { row in
                (try row.id("environment_id"), try row.id("organization_id"))
            }
            queued.nextAttempt = try connection.first(ExecutionStore.nextAttempt, now)?.optionalTimestamp("at")
            return queued
        }
    }

    /// With one read, as far as they are small. A match that is left without reads its own, and hears why it cannot.
    private func readInputs(_ matches: inout [Match]) async {
        guard matches.count > 1 else { return }
        let wanted = matches.map(\.key.executionID)
        let found = try? await database.read { connection in
            var found: [ExecutionID: (organization: OrganizationID, input: SealedRow)] = [:]
            var bytes = 0
            for start in stride(from: 0, to: wanted.count, by: ExecutionStore.inputsAtOnce)
            where bytes < Self.inputBytesAtOnce {
                var ids = wanted[start...].prefix(ExecutionStore.inputsAtOnce).map(\.sqlValue)
                while ids.count < ExecutionStore.inputsAtOnce { ids.append(wanted[start].sqlValue) }
                for row in try connection.rows(ExecutionStore.inputs, values: ids) {
                    let input = try SealedRow(row)
                    bytes += input.byteCount
                    found[try row.id("execution_id")] = (try row.id("organization_id"), input)
                }
            }
            return found
        }
        guard let found else { return }
        for index in matches.indices {
            guard let (organization, input) = found[matches[index].key.executionID],
                organization == matches[index].stored.record.organizationID
            else { continue }
            matches[index].input = input
        }
    }

    private static let inputBytesAtOnce = 4 << 20

    /// Each once.
    private static func needs(at place: DispatchPlan.Place, _ connection: any SQLConnection) throws -> [String] {
        var found: [String] = []
        while true {
            // What follows the last one: no text has a character before its line ends.
            let next = found.last.map { $0 + "\u{1}" } ?? ""
            let row =
                if let environment = place.environmentID {
                    try connection.first(ExecutionStore.needsIn, environment, place.organizationID, next)
                } else {
                    try connection.first(ExecutionStore.needsAlone, place.organizationID, next)
                }
            guard let row else { return found }
            found.append(try row.text("needs"))
        }
    }

    /// The oldest `room` that are not in flight. Those in flight are mostly the oldest of all, and their rows still say
    /// queued: as far as the last of them goes, ids are looked at before rows are read.
    private static func queued(
        at place: DispatchPlan.Place,
        _ needs: String,
        room: Int,
        _ inFlight: InFlight,
        at now: Timestamp,
        _ connection: any SQLConnection
    ) throws -> [Row] {
        var rows: [Row] = []
        let known = inFlight.fromQueue
        let last = known.last?.text ?? ""
        let own = [place.environmentID?.sqlValue, place.organizationID.sqlValue].compactMap(\.self)
        let isAlone = place.environmentID == nil
        if !known.isEmpty {
            let sql = isAlone ? ExecutionStore.earlierAloneNeeding : ExecutionStore.earlierInNeeding
            let values = own + [needs.sqlValue, (room + known.count).sqlValue, now.sqlValue, last.sqlValue]
            for row in try connection.rows(sql, values: values) where rows.count < room {
                let id: ExecutionID = try row.id("id")
                guard !inFlight.passOver(id) else { continue }
                if let row = try connection.first(ExecutionStore.byID, id, place.organizationID) { rows.append(row) }
            }
        }
        guard rows.count < room else { return rows }
        let sql = isAlone ? ExecutionStore.queuedAloneNeeding : ExecutionStore.queuedInNeeding
        let values = own + [needs.sqlValue, (room - rows.count).sqlValue, now.sqlValue, last.sqlValue]
        return try rows + connection.rows(sql, values: values)
    }

    private func wakeEnvironments(of round: Round) async throws {
        for (environment, organization) in round.asleep {
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
        let now = time.now
        let rows = try await database.read { connection in
            try connection.rows(ExecutionStore.queuedIn, environment, organization, 1000, now)
                .map { try $0.id(ExecutionKind.self, "id") }
        }
        for id in rows {
            await settle(id) {
                try await change(id, organization) { machine, _ in try machine.refuse(reason, at: now) }
            }
        }
    }
}
