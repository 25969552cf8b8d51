import Base
import Domain

// The provider's calls, and what becomes of a row after each.
extension EnvironmentService {
    struct Interrupted: Error {}

    func perform(
        _ effect: EnvironmentMachine.Effect,
        _ stored: StoredEnvironment,
        _ turn: Turn,
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
            let capabilities = try instances.capabilities(of: record.spec.provider)
            let limitations =
                try await bounded(record, turn, interruptions) {
                    if let origin = record.originSnapshotID { try await awaitOrigin(origin) }
                    return try await instances.create(record)
                }
                + Self.idleLimitations(capabilities, record.autoStopMinutes)
            let after = try await change(
                turn.id,
                turn.organization,
                limitations: limitations,
                claim: turn.claim
            ) { try $0.provisioned(at: now) }
            guard after.machine.pending == .start else { return }
            try await boot(after.record, try await token, turn, interruptions)
        case .start:
            if !isFresh, try await isSettledBoot(record) { return }
            if let snapshot = record.restoreSnapshotID {
                try await bounded(record, turn, interruptions) { try await instances.restore(record, to: snapshot) }
            }
            try await boot(record, try await issueToken(record, instance: number), turn, interruptions)
        case .resume:
            try await bounded(record, turn, interruptions) { try await instances.resume(record) }
            try await change(turn.id, turn.organization, claim: turn.claim) { try $0.resumed(instance: number) }
            workers.setDraining(false, environment: record.id)
            await observer.environmentChanged(record.id, organization: record.organizationID)
        case .pause:
            guard try await openCount(in: record) == 0 else {
                try await change(turn.id, turn.organization, message: "work came in between", claim: turn.claim) {
                    try $0.notPaused(instance: number)
                }
                return workers.setDraining(false, environment: record.id)
            }
            try await bounded(record, turn, interruptions) { try await instances.pause(record) }
            try await change(turn.id, turn.organization, claim: turn.claim) { try $0.paused(instance: number) }
        case .stop:
            try await bounded(record, turn, interruptions, isInterruptible: record.desired != .stopped) {
                try await instances.stop(record)
            }
            try await ended(record, "its environment was stopped")
            try await change(turn.id, turn.organization, claim: turn.claim) { try $0.stopped(instance: number) }
        case .destroy:
            try await bounded(record, turn, interruptions, isInterruptible: false) {
                try await instances.destroy(record)
            }
            try await ended(record, "its environment was destroyed")
            try await change(turn.id, turn.organization, claim: turn.claim) { try $0.destroyed() }
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
        _ turn: Turn,
        _ interruptions: UInt64
    ) async throws {
        try await bounded(record, turn, interruptions) { try await instances.start(record, token: token) }
        try await readyIfItIs(record)
    }

    /// Whether the incarnation that is being waited for was started before: after a restart of the server in mid-boot, and
    /// while its worker takes its time. One that runs gets no second token, which would shut its worker out; one that has
    /// died is never started again under the same number.
    private func isSettledBoot(_ record: EnvironmentRecord) async throws -> Bool {
        let found = try await instances.inspect(record)
        guard found.instance == record.instance else { return false }
        switch found.condition {
        case .running: try await readyIfItIs(record)
        case .stopped: try await believe(found, of: record, isJobs: true)
        case .paused, .absent: return false
        }
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

    /// A provider call within the state's deadline, broken off when somebody wants the environment gone.
    private func bounded<Value: Sendable>(
        _ record: EnvironmentRecord,
        _ turn: Turn,
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
                    try await turn.interruption.wait(after: interruptions)
                    throw Interrupted()
                }
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw CancellationError() }
            return value
        }
    }
}
