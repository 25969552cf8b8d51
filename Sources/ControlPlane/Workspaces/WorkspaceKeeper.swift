public import Base
import Database
public import Domain

/// What the keeper needs of executions and environments; wired by the composition root.
public protocol WorkspaceBridge: Sendable {
    /// Whether an execution of this workspace has not ended.
    func hasLiveExecution(_ workspace: WorkspaceID, organization: OrganizationID) async throws -> Bool
    /// Looks at the workspace's remote, in its environment. nil where that does not run, or is not within reach of this
    /// server: it is not woken for it.
    func sync(_ workspace: WorkspaceRecord) async throws -> SyncReport?
    /// Takes what the environment keeps of a removed workspace away. False where it cannot be reached now: it is not woken
    /// for it.
    func forget(_ workspace: WorkspaceRecord) async throws -> Bool
}

/// Ends what sticks, and looks at remotes when their time comes.
public struct WorkspaceKeeper: Sendable {
    /// Of looks at the table.
    private static let pace = Duration.seconds(5)
    /// At a time.
    private static let syncs = 4
    /// Between two tries to reach the environment of a removed workspace.
    private static let forgetPause = Duration.seconds(60)

    private let service: WorkspaceService
    private let bridge: any WorkspaceBridge
    private let randomness: any Randomness
    /// Between two looks at a remote; the real one is up to a fifth longer or shorter.
    private let interval: Duration

    public init(
        _ service: WorkspaceService,
        bridge: any WorkspaceBridge,
        interval: Duration,
        randomness: any Randomness
    ) {
        self.service = service
        self.bridge = bridge
        self.interval = interval
        self.randomness = randomness
    }

    /// Until its task is cancelled. Throws what the database throws; the caller begins it again.
    public func run() async throws {
        while true {
            try await step()
            try await service.time.wait(for: Self.pace)
        }
    }

    /// One look.
    public func step() async throws {
        try await settle()
        try await forgetDue()
        try await syncDue()
    }

    /// Every state that does not last has an execution behind it, or ends.
    private func settle() async throws {
        let now = service.time.now
        let overdue = try await service.database.read { connection in
            try connection.rows(WorkspaceStore.overdue, now).map(WorkspaceStore.record)
        }
        for record in overdue {
            if try await bridge.hasLiveExecution(record.id, organization: record.organizationID) {
                let later = now + WorkspaceService.takeUpTime
                _ = try await service.database.write {
                    try $0.run(WorkspaceStore.postpone, record.id, record.version, later)
                }
            } else {
                let reason = FailureReason(
                    .infrastructureLost,
                    "nothing sets the workspace up any more",
                    remedy: "try again: berth ws retry \(record.name)"
                )
                try await service.setupFailed(record.id, organization: record.organizationID, reason)
            }
        }
    }

    private func forgetDue() async throws {
        let now = service.time.now
        let due = try await service.database.read { connection in
            try connection.rows(WorkspaceStore.forgetDue, now).map(WorkspaceStore.record)
        }
        for record in due {
            // Whatever it throws, the next try is not at once.
            _ = try await service.database.write {
                try $0.run(WorkspaceStore.forgetLater, record.id, now + Self.forgetPause)
            }
            do {
                guard try await bridge.forget(record) else { continue }
                _ = try await service.database.write { try $0.run(WorkspaceStore.forgotten, record.id) }
            } catch {
                try Task.checkCancellation()
                service.log.warning("removed workspace kept inside", ["workspace_id": record.id, "error": "\(error)"])
            }
        }
    }

    private func syncDue() async throws {
        let now = service.time.now
        let due = try await service.database.read { connection in
            try connection.rows(WorkspaceSyncStore.due, now).map(WorkspaceStore.record)
        }
        for batch in stride(from: 0, to: due.count, by: Self.syncs) {
            try await withThrowingTaskGroup { group in
                for record in due[batch..<min(batch + Self.syncs, due.count)] {
                    group.addTask { try await sync(record) }
                }
                try await group.waitForAll()
            }
        }
    }

    /// Of several servers the one whose claim is first looks.
    private func sync(_ record: WorkspaceRecord) async throws {
        guard let dueAt = record.sync.dueAt, try await service.claimSync(record, dueAt: dueAt, next: next()) else {
            return
        }
        let report: SyncReport?
        do {
            report = try await bridge.sync(record)
        } catch {
            try Task.checkCancellation()
            let error = BerthError(wrapping: error)
            guard error.code != .unavailable else { return }
            report = SyncReport(.failed, message: error.message, remedy: error.remedy)
        }
        if let report { try await service.synced(record.id, organization: record.organizationID, report) }
    }

    private func next() -> Timestamp {
        let part = randomness.fraction()
        return service.time.now + .milliseconds(Int64(Double(interval.wholeMilliseconds) * (0.8 + 0.4 * part)))
    }
}
