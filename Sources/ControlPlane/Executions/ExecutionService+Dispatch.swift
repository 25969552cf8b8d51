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
                queue.mayWait(true)
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
                queue.mayWait(isWaiting)
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
}
