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
                    for (stored, worker, key) in try await plan() {
                        group.addTask { await self.assign(stored, key, to: worker) }
                    }
                    let now = time.now
                    (isWaiting, nextAttempt) = try await database.read { connection in
                        guard try connection.first(ExecutionStore.anyQueued) != nil else { return (false, nil) }
                        return (true, try connection.first(ExecutionStore.nextAttempt, now)?.optionalTimestamp("at"))
                    }
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
                case let key = AttemptKey(match.execution, stored.record.attempt + 1), inFlight.begin(key)
            else { continue }
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
        let (times, now) = (times, time.now)
        let places = DispatchPlan.places(of: candidates)
        return try await database.read { connection in
            var queued: [StoredExecution] = []
            for place in places {
                for needs in try Self.needs(at: place, connection) {
                    let room = place.workers.reduce(0) { $0 + (DispatchPlan.serves($1, needs) ? $1.freeSlots : 0) }
                    guard room > 0 else { continue }
                    // What is in flight still says queued.
                    let limit = room + inFlight.count
                    for row in try Self.queued(at: place, needs, limit: limit, at: now, connection) {
                        let stored = try ExecutionStore.stored(row, times: times)
                        if !inFlight.contains(stored.record.id) { queued.append(stored) }
                    }
                }
            }
            return queued
        }
    }

    private static func needs(at place: DispatchPlan.Place, _ connection: any SQLConnection) throws -> [String] {
        let rows =
            if let environment = place.environmentID {
                try connection.rows(ExecutionStore.needsIn, environment, place.organizationID)
            } else {
                try connection.rows(ExecutionStore.needsAlone, place.organizationID)
            }
        return try rows.map { try $0.text("needs") }
    }

    private static func queued(
        at place: DispatchPlan.Place,
        _ needs: String,
        limit: Int,
        at now: Timestamp,
        _ connection: any SQLConnection
    ) throws -> [Row] {
        guard let environment = place.environmentID else {
            return try connection.rows(ExecutionStore.queuedAloneNeeding, place.organizationID, needs, limit, now)
        }
        return try connection.rows(
            ExecutionStore.queuedInNeeding,
            environment,
            place.organizationID,
            needs,
            limit,
            now
        )
    }

    private func wakeEnvironments(besides candidates: [WorkerCandidate]) async throws {
        let now = time.now
        let waiting = try await database.read { connection in
            try connection.rows(ExecutionStore.waitingEnvironments, now).map { row in
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
