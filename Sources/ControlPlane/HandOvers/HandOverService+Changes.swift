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
        let isLinked = (custody == .away || isNewOwner) && location == .desktop && after.peerLocation == .cloud
        let changed = try transaction.run(
            HandOverStore.hold,
            row.id,
            row.version,
            custody.rawValue,
            isNewOwner ? after.epoch : row.epoch,
            (own ?? other)?.rawValue,
            isLinked ? after.peerWorkspaceID : nil
        )
        guard changed == 1 else { throw MovedRow("workspace \(row.id)") }
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

    /// The hand-over's row, and what its first state means for the workspace's.
    static func open(
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
    ) throws -> HandOverRecord {
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
        let changed = try transaction.run(
            HandOverStore.hold,
            row.id,
            row.version,
            (machine.custody ?? row.custody).rawValue,
            row.epoch,
            nil as String?,
            nil as String?
        )
        guard changed == 1 else { throw MovedRow("workspace \(row.id)") }
        let record = try inserted(id, in: transaction)
        transaction.record(try fact(record, at: now))
        return record
    }

    /// Two workspaces of one environment on one branch would undo each other's pushes.
    static func checkBranch(_ new: NewHandedWorkspace, _ row: HandedRow, in transaction: FeedTransaction) throws {
        guard let repository = new.repositoryID,
            let other = try transaction.first(
                HandOverStore.sameBranch,
                row.environmentID,
                repository,
                new.branch,
                row.id
            )
        else { return }
        let name = try other.text("name")
        throw BerthError(
            .conflict,
            "the branch '\(new.branch)' is checked out there in the workspace '\(name)'",
            field: "offer.branch",
            remedy: "archive that one first ('berth ws archive \(name)' there), or go on with it"
        )
    }

    /// A source that offers anew, at a greater epoch, has rolled back what it had begun before, whether or not that word has
    /// come: it alone decides.
    /// - Returns: the workspace's custody before that one; nil where none was open.
    static func endEarlier(
        of row: HandedRow,
        from source: WorkspaceID,
        _ epoch: Int64,
        at now: Timestamp,
        in transaction: FeedTransaction
    ) throws -> Custody? {
        guard let earlier = try transaction.first(HandOverStore.open, row.id).map(HandOverStore.record),
            earlier.side == .destination, earlier.peerWorkspaceID == source, earlier.epoch < epoch
        else { return nil }
        var ended = earlier
        try ended.machine.abort()
        ended.stage = "rolled back"
        ended.stateEnteredAt = now
        ended.progressAt = now
        try write(ended, over: earlier, in: transaction)
        transaction.record(try fact(ended, at: now))
        return row.epoch == 0 ? .arriving : earlier.custodyBefore
    }

    static func inserted(_ id: HandOverID, in transaction: FeedTransaction) throws -> HandOverRecord {
        guard let record = try transaction.first(HandOverStore.byID, id).map(HandOverStore.record) else {
            throw unknown("hand-over \(id)")
        }
        return record
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
