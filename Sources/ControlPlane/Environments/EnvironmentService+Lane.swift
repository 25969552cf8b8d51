public import Base
import Database
import Domain

// The loops of the composition root's task group.
extension EnvironmentService {
    /// Drives lanes and reconciles until cancelled.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.reconcileLoop() }
            group.addTask { try await self.laneLoop() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func laneLoop() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let count = lanes.bell.count
                for ticket in lanes.take() {
                    group.addTask {
                        repeat { await self.drive(ticket) } while !self.lanes.finish(ticket) && !Task.isCancelled
                    }
                }
                try await lanes.bell.wait(after: count)
            }
        }
    }

    /// Takes one environment as far as it can go now. A failure is written into the row, so this never throws; what could
    /// not be written is tried again by the reconciler.
    func drive(_ ticket: EnvironmentLanes.Ticket) async {
        do {
            // Another server's: that one is woken by the change itself.
            guard try await stored(ticket.id, ticket.organization, visibleTo: nil).record.replicaID == replica else {
                return
            }
            while try await step(ticket) { try Task.checkCancellation() }
        } catch is CancellationError {
            return
        } catch let error as BerthError where error.code == .notFound {
            return
        } catch {
            log.error("environment not driven", ["environment_id": ticket.id, "error": "\(error)"])
        }
    }

    /// One write and one provider call. Returns whether there may be more to do.
    private func step(_ ticket: EnvironmentLanes.Ticket) async throws -> Bool {
        let now = time.now
        let interruptions = ticket.interruption.count
        let changed = try await change(ticket.id, ticket.organization) { machine in
            if !machine.expire(at: now) { _ = machine.begin(at: now) }
        }
        let stored = changed.stored
        guard let effect = stored.machine.pending else { return false }
        do {
            try await perform(effect, stored, ticket, after: interruptions, isFresh: changed.isChanged)
        } catch is Interrupted {
            return true
        } catch let error as BerthError where error.code == .stale || error.code == .illegalTransition {
            log.debug("environment had moved on", ["environment_id": ticket.id, "reason": error.message])
            return true
        } catch {
            try Task.checkCancellation()
            try await fail(stored, BerthError(wrapping: error))
            return true
        }
        // A boot goes on by itself: its worker's word comes as an event.
        return effect != .start
    }

    private struct Interrupted: Error {}

    private func perform(
        _ effect: EnvironmentMachine.Effect,
        _ stored: StoredEnvironment,
        _ ticket: EnvironmentLanes.Ticket,
        after interruptions: UInt64,
        isFresh: Bool
    ) async throws {
        let record = stored.record
        let number = record.instance
        let now = time.now
        if [.pause, .stop, .destroy].contains(effect) { workers.setDraining(true, environment: record.id) }
        switch effect {
        case .create:
            // The first boot's token is made while the provider works.
            async let token = issueToken(record, instance: number + 1)
            let limitations = try await bounded(record, ticket, interruptions) { try await instances.create(record) }
            let after = try await change(ticket.id, ticket.organization, limitations: limitations) {
                try $0.provisioned(at: now)
            }
            guard after.machine.pending == .start else { return }
            try await boot(after.record, try await token, ticket, interruptions)
        case .start:
            if !isFresh, try await isBooted(record) { return }
            try await boot(record, try await issueToken(record, instance: number), ticket, interruptions)
        case .resume:
            try await bounded(record, ticket, interruptions) { try await instances.resume(record) }
            try await change(ticket.id, ticket.organization) { try $0.resumed(instance: number) }
            workers.setDraining(false, environment: record.id)
            await observer.environmentChanged(record.id, organization: record.organizationID)
        case .pause:
            try await bounded(record, ticket, interruptions) { try await instances.pause(record) }
            try await change(ticket.id, ticket.organization) { try $0.paused(instance: number) }
        case .stop:
            try await bounded(record, ticket, interruptions, isInterruptible: record.desired != .stopped) {
                try await instances.stop(record)
            }
            try await ended(record, "its environment was stopped")
            try await change(ticket.id, ticket.organization) { try $0.stopped(instance: number) }
        case .destroy:
            try await bounded(record, ticket, interruptions, isInterruptible: false) {
                try await instances.destroy(record)
            }
            try await ended(record, "its environment was destroyed")
            try await change(ticket.id, ticket.organization) { try $0.destroyed() }
        }
    }

    private func issueToken(_ record: EnvironmentRecord, instance: Int64) async throws -> Secret<String> {
        try await workers.issueToken(
            organization: record.organizationID,
            owner: record.ownerID,
            environment: record.id,
            instance: instance
        )
    }

    private func boot(
        _ record: EnvironmentRecord,
        _ token: Secret<String>,
        _ ticket: EnvironmentLanes.Ticket,
        _ interruptions: UInt64
    ) async throws {
        try await bounded(record, ticket, interruptions) { try await instances.start(record, token: token) }
        try await readyIfItIs(record)
    }

    /// Whether the incarnation that is being waited for runs already: a second token would shut its worker out. True
    /// after a restart of the server in mid-boot, and while its worker takes its time.
    private func isBooted(_ record: EnvironmentRecord) async throws -> Bool {
        let found = try await instances.inspect(record)
        guard found.condition == .running, found.instance == record.instance else { return false }
        try await readyIfItIs(record)
        return true
    }

    /// Its worker may have been quicker than the provider's answer.
    private func readyIfItIs(_ record: EnvironmentRecord) async throws {
        guard workers.isReady(environment: record.id, instance: record.instance) else { return }
        try await ready(record)
    }

    private func ready(_ record: EnvironmentRecord) async throws {
        let number = record.instance
        try await change(record.id, record.organizationID) { _ = try $0.workerReady(instance: number) }
    }

    /// A worker of this incarnation can take work. Called for every `ready`; fenced by the number.
    public func workerReady(_ id: EnvironmentID, organization: OrganizationID, instance: Int64) async throws {
        try await change(id, organization) { _ = try $0.workerReady(instance: instance) }
        // The wish may have changed while it booted.
        lanes.wake(id, organization)
    }

    /// What ran in it is gone; its worker's token too. Both before the row says so, so that nothing is left hanging.
    func ended(_ record: EnvironmentRecord, _ words: String) async throws {
        guard record.instance > 0 else { return }
        workers.setDraining(true, environment: record.id)
        try await observer.environmentEnded(
            record.id,
            organization: record.organizationID,
            instance: record.instance,
            FailureReason(.environmentLost, words)
        )
        try await workers.revoke(
            organization: record.organizationID,
            owner: record.ownerID,
            environment: record.id,
            upTo: record.instance
        )
    }

    private func fail(_ stored: StoredEnvironment, _ error: BerthError) async throws {
        guard let operation = stored.machine.operation else { return }
        log.warning(
            "environment operation failed",
            ["environment_id": stored.record.id, "operation": operation, "code": error.code, "error": error.message]
        )
        let before = stored.record.instance
        try await change(stored.record.id, stored.record.organizationID) { machine in
            // The step may have gone from laying files to booting; the cause names what was under way then.
            guard machine.instance <= before + 1, let operation = machine.operation else { return }
            try machine.fail(EnvironmentCause(operation, error))
        }
    }

    /// A provider call within the state's deadline, broken off when somebody wants the environment gone.
    private func bounded<Value: Sendable>(
        _ record: EnvironmentRecord,
        _ ticket: EnvironmentLanes.Ticket,
        _ interruptions: UInt64,
        isInterruptible: Bool = true,
        _ call: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let left = max(.seconds(1), (record.deadlineAt ?? time.now + .seconds(60)) - time.now)
        let time = time
        return try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask {
                try await withDeadline(left, time: time, what: "the provider's answer", call)
            }
            if isInterruptible {
                group.addTask {
                    try await ticket.interruption.wait(after: interruptions)
                    throw Interrupted()
                }
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }
}
