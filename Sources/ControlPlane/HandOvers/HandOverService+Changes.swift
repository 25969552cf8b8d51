public import Base
import Database
public import Domain
import FoundationEssentials

extension HandOverService {
    /// Changes a hand-over, and the workspace's row where its custody follows. Re-run when another writer came first.
    /// - Parameter edit: moves the machine or notes something; an untouched record is left as it is.
    @discardableResult
    public func change(
        _ id: HandOverID,
        _ edit: @escaping @Sendable (inout HandOverRecord) throws -> Void
    ) async throws -> HandOverRecord {
        let now = time.now
        guard let known = try await find(id) else { throw Self.unknown("hand-over \(id)") }
        return try await withMovingRows {
            try await feed.transaction(organization: known.organizationID) { transaction in
                guard let before = try transaction.first(HandOverStore.byID, id).map(HandOverStore.record) else {
                    throw Self.unknown("hand-over \(id)")
                }
                var after = before
                try edit(&after)
                guard after != before else { return before }
                if after.stage != before.stage || after.machine != before.machine { after.progressAt = now }
                if after.state != before.state { after.stateEnteredAt = now }
                try Self.write(after, over: before, in: transaction)
                if after.machine != before.machine {
                    try follow(after, from: before, at: now, in: transaction)
                    transaction.record(try Self.fact(after, at: now))
                } else {
                    transaction.record(try Self.fact(after, at: now, type: "handover.changed"))
                }
                return try Self.inserted(id, in: transaction)
            }
            .value
        }
    }

    /// What the machine's state means for the workspace's row.
    private func follow(
        _ after: HandOverRecord,
        from before: HandOverRecord,
        at now: Timestamp,
        in transaction: FeedTransaction
    ) throws {
        let row = try transaction.first(HandOverStore.workspaceByID, after.workspaceID, after.organizationID)
            .map(HandOverStore.workspace)
        guard let row else { return }
        let custody = after.machine.custody ?? before.custodyBefore
        let isNewOwner = custody == .owned && after.state != .aborted
        // A row that was made for it and never came to be anybody's.
        if after.state == .aborted, after.side == .destination, row.epoch == 0 {
            try transaction.run(HandOverStore.remove, row.id, now)
            return
        }
        let own: WorkspaceLocation? = isNewOwner ? location : nil
        let other: WorkspaceLocation? = after.side == .source && custody == .away ? after.peerLocation : nil
        let changed = try transaction.run(
            HandOverStore.hold,
            row.id,
            row.version,
            custody.rawValue,
            isNewOwner ? after.epoch : row.epoch,
            (own ?? other)?.rawValue
        )
        guard changed == 1 else { throw MovedRow("workspace \(row.id)") }
    }

    /// What the other side says of the workspace besides its checkout; before it is owned.
    public func adopt(_ id: HandOverID, _ new: NewHandedWorkspace) async throws {
        let now = time.now
        guard let record = try await find(id) else { throw Self.unknown("hand-over \(id)") }
        _ = try await withMovingRows {
            try await feed.transaction(organization: record.organizationID) { transaction in
                guard
                    let row = try transaction.first(
                        HandOverStore.workspaceByID,
                        record.workspaceID,
                        record.organizationID
                    )
                    .map(HandOverStore.workspace), row.custody == .arriving
                else { return }
                let changed = try transaction.run(
                    HandOverStore.adopt,
                    row.id,
                    row.version,
                    new.name,
                    new.branch,
                    new.baseReference,
                    new.issueURL,
                    new.pullRequestURL,
                    new.pullRequestNumber,
                    new.ratchetEnabled,
                    new.ratchetState,
                    now
                )
                guard changed == 1 else { throw MovedRow("workspace \(row.id)") }
                transaction.record(try Self.fact(record, at: now, type: "handover.changed"))
            }
        }
    }

    // MARK: Within a transaction

    static func row(_ id: WorkspaceID, _ wish: HandOverWish, in transaction: FeedTransaction) throws -> HandedRow {
        let row = try transaction.first(HandOverStore.workspaceByID, id, wish.organizationID)
            .map(HandOverStore.workspace)
        guard let row, row.ownerID == wish.ownerID else {
            throw unknown("workspace \(id)", remedy: "list them with 'berth ws ls'")
        }
        return row
    }

    static func insert(
        _ id: HandOverID,
        _ machine: HandOverMachine,
        of row: HandedRow,
        _ target: HandOverTarget?,
        _ token: [UInt8]?,
        peerName: String,
        peerWorkspace: WorkspaceID?,
        _ wish: HandOverWish,
        at now: Timestamp,
        in transaction: FeedTransaction
    ) throws {
        try transaction.run(
            HandOverStore.insert,
            id,
            wish.organizationID,
            wish.ownerID,
            machine.side.rawValue,
            target != nil,
            machine.state.rawValue,
            "beginning",
            row.id,
            row.custody.rawValue,
            machine.epoch,
            target?.name ?? peerName,
            target?.url,
            target?.pin,
            peerWorkspace,
            token,
            wish.includesIgnored,
            wish.ignoredLimit,
            now,
            now,
            now
        )
        transaction.record(try fact(try inserted(id, in: transaction), at: now))
    }

    static func inserted(_ id: HandOverID, in transaction: FeedTransaction) throws -> HandOverRecord {
        guard let record = try transaction.first(HandOverStore.byID, id).map(HandOverStore.record) else {
            throw unknown("hand-over \(id)")
        }
        return record
    }

    static func hold(_ row: HandedRow, _ machine: HandOverMachine, at epoch: Int64, in transaction: FeedTransaction)
        throws
    {
        let custody = machine.custody ?? row.custody
        let changed = try transaction.run(
            HandOverStore.hold,
            row.id,
            row.version,
            custody.rawValue,
            epoch,
            nil as String?
        )
        guard changed == 1 else { throw MovedRow("workspace \(row.id)") }
    }

    private static func write(_ after: HandOverRecord, over before: HandOverRecord, in transaction: FeedTransaction)
        throws
    {
        let failure = try after.failure.map { try JSONColumn.text($0) }
        let changed = try transaction.run(
            HandOverStore.update,
            after.id,
            before.version,
            after.isDriver,
            after.state.rawValue,
            after.stage,
            after.epoch,
            after.peerName,
            after.peerURL,
            after.peerPin,
            after.peerWorkspaceID,
            after.peerLocation?.rawValue,
            after.sealedToken,
            after.archiveBytes,
            after.archiveDigest,
            after.summary,
            failure,
            after.stateEnteredAt,
            after.progressAt,
            after.clearedAt
        )
        guard changed == 1 else { throw MovedRow("hand-over \(after.id)") }
    }

    static func fact(_ record: HandOverRecord, at now: Timestamp, type: String? = nil) throws -> NewEvent {
        struct Fact: Encodable {
            var workspaceId: WorkspaceID
            var side: HandOverSide
            var state: HandOverState
            var stage: String
            var epoch: Int64
            var peerName: String
        }
        let payload = try JSONColumn.text(
            Fact(
                workspaceId: record.workspaceID,
                side: record.side,
                state: record.state,
                stage: record.stage,
                epoch: record.epoch,
                peerName: record.peerName
            )
        )
        return NewEvent(
            type ?? "handover.\(record.state.rawValue.lowercased())",
            subject: record.id,
            ownerID: record.ownerID,
            actorID: nil,
            payload: payload,
            at: now
        )
    }
}

extension HandOverService {
    /// This server talks to the other from now on, with this key: the command was repeated, here or for the first time.
    public func renew(_ id: HandOverID, _ target: HandOverTarget) async throws -> HandOverRecord {
        guard let record = try await find(id) else { throw Self.unknown("hand-over \(id)") }
        let token = try sealed(target.token, id, record.organizationID)
        return try await change(id) { record in
            guard record.machine.isOpen else { return }
            record.isDriver = true
            record.sealedToken = token
            record.peerName = target.name
            record.peerURL = target.url
            record.peerPin = target.pin
            record.failure = nil
        }
    }
}
