public import Base
public import Crypto
public import Database
public import Domain
import FoundationEssentials

/// The durable side of hand-overs: every state is a row before anybody is told of it.
public struct HandOverService: Sendable {
    let database: any SQLDatabase
    let feed: Feed
    let sealer: Sealer
    let time: any TimeSource
    let ids: IDSource
    /// Of the workspaces that this server owns.
    public let location: WorkspaceLocation

    public init(
        database: any SQLDatabase,
        feed: Feed,
        sealer: Sealer,
        time: any TimeSource,
        ids: IDSource,
        location: WorkspaceLocation
    ) {
        self.location = location
        self.database = database
        self.feed = feed
        self.sealer = sealer
        self.time = time
        self.ids = ids
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] { HandOverStore.statements }

    static func unknown(_ what: some CustomStringConvertible, remedy: String? = nil) -> BerthError {
        BerthError(.notFound, "there is no \(what)", remedy: remedy)
    }
}

// Questions.
extension HandOverService {
    public func get(_ id: HandOverID, organization: OrganizationID, visibleTo user: UserID?) async throws
        -> HandOverRecord
    {
        guard let record = try await find(id), record.organizationID == organization,
            user == nil || record.ownerID == user
        else { throw Self.unknown("hand-over \(id)", remedy: "list them with 'berth ws hand-overs'") }
        return record
    }

    public func find(_ id: HandOverID) async throws -> HandOverRecord? {
        try await database.read { try $0.first(HandOverStore.byID, id).map(HandOverStore.record) }
    }

    /// Newest first. `after` is the last one of the page before.
    public func list(_ organization: OrganizationID, visibleTo user: UserID?, after: HandOverID?, limit: Int)
        async throws -> [HandOverRecord]
    {
        try await database.read { connection in
            try connection.rows(HandOverStore.list, organization, user, after, limit).map(HandOverStore.record)
        }
    }

    /// Those of which something is left to be done or to be cleared.
    public func unsettled() async throws -> [HandOverRecord] {
        try await database.read { try $0.rows(HandOverStore.unsettled).map(HandOverStore.record) }
    }

    /// The last hand-over of a workspace.
    public func latest(of workspace: WorkspaceID) async throws -> HandOverRecord? {
        try await database.read { try $0.first(HandOverStore.latest, workspace).map(HandOverStore.record) }
    }

    public func open(of workspace: WorkspaceID) async throws -> HandOverRecord? {
        try await database.read { try $0.first(HandOverStore.open, workspace).map(HandOverStore.record) }
    }

    /// - Parameter removed: also one whose row was removed with a hand-over that came to nothing.
    public func workspace(
        _ id: WorkspaceID,
        organization: OrganizationID,
        visibleTo user: UserID?,
        removed: Bool = false
    ) async throws -> HandedRow {
        let statement = removed ? HandOverStore.anyWorkspace : HandOverStore.workspaceByID
        let row = try await database.read { connection in
            try connection.first(statement, id, organization).map(HandOverStore.workspace)
        }
        guard let row, user == nil || row.ownerID == user else {
            throw Self.unknown("workspace \(id)", remedy: "list them with 'berth ws ls'")
        }
        return row
    }

    /// The row that an earlier hand-over left here of a workspace of the other side.
    public func twin(of peer: WorkspaceID, _ wish: HandOverWish) async throws -> WorkspaceID? {
        try await database.read { connection in
            try connection.first(HandOverStore.twin, wish.organizationID, peer, wish.ownerID).map {
                try $0.id("workspace_id")
            }
        }
    }

    /// What the token was sealed from.
    public func token(of record: HandOverRecord) throws -> Secret<String>? {
        guard let sealed = record.sealedToken else { return nil }
        let bytes = try sealer.open(sealed, context: context(record.id, record.organizationID)).reveal()
        return Secret(String(decoding: bytes, as: UTF8.self))
    }

    func sealed(_ token: Secret<String>, _ id: HandOverID, _ organization: OrganizationID) throws -> [UInt8] {
        try sealer.seal(Secret(Array(token.reveal().utf8)), context: context(id, organization))
    }

    private func context(_ id: HandOverID, _ organization: OrganizationID) -> SealContext {
        SealContext(organizationID: organization, purpose: "handOver.token", subject: id)
    }
}

// Beginnings.
extension HandOverService {
    /// The source's first step: refused while something runs in the workspace; from here on nothing may begin in it.
    /// - Parameters:
    ///   - id: chosen by whoever drives.
    ///   - target: nil where the other server drives.
    public func begin(
        _ id: HandOverID,
        of workspace: WorkspaceID,
        to target: HandOverTarget?,
        peerName: String,
        _ wish: HandOverWish
    ) async throws -> HandOverRecord {
        let token = try target.map { try sealed($0.token, id, wish.organizationID) }
        let now = time.now
        return try await feed.transaction(organization: wish.organizationID) { transaction in
            if let known = try transaction.first(HandOverStore.byID, id).map(HandOverStore.record) {
                guard known.workspaceID == workspace, known.side == .source else {
                    throw Self.unknown("hand-over \(id)")
                }
                return known
            }
            let row = try Self.row(workspace, wish, in: transaction)
            try Self.checkMayLeave(row)
            let running = try transaction.rows(HandOverStore.running, workspace).map { try $0.text("id") }
            guard running.isEmpty else {
                throw BerthError(
                    .conflict,
                    "\(running.joined(separator: ", ")) runs in the workspace",
                    remedy: "wait for its end with --wait, or cancel it with 'berth cancel'"
                )
            }
            let burnt = try transaction.first(HandOverStore.highestEpoch, workspace)?.optionalInteger("epoch") ?? 0
            let machine = HandOverMachine.source(epoch: max(row.epoch, burnt) + 1)
            return try Self.open(
                id,
                machine,
                of: row,
                target,
                token,
                peerName: peerName,
                peerWorkspace: nil,
                wish,
                at: now,
                in: transaction
            )
        }
        .value
    }

    private static func checkMayLeave(_ row: HandedRow) throws(BerthError) {
        switch row.custody {
        case .owned: break
        case .frozen, .arriving:
            throw BerthError(
                .conflict,
                "the workspace is on its way already",
                remedy: "see 'berth ws hand-overs'"
            )
        case .away, .orphaned:
            throw BerthError(
                .conflict,
                "the workspace is not here any more: another server has it",
                remedy: "pull it from there: 'berth ws pull NAME --from REMOTE'"
            )
        }
        guard row.state == .ready || row.state == .failed else {
            throw BerthError(
                .illegalTransition,
                "the workspace is \(row.state.rawValue)",
                remedy: "wait until its checkout is there; see 'berth ws show \(row.id)'"
            )
        }
    }

    /// The destination's first step.
    /// - Parameters:
    ///   - workspace: of a row that an earlier hand-over left here; nil: another one is made in `environment`.
    ///   - newDirectory: of its checkout, then.
    public func stage(
        _ id: HandOverID,
        from source: WorkspaceID,
        epoch: Int64,
        into workspace: WorkspaceID?,
        new: NewHandedWorkspace,
        target: HandOverTarget?,
        peerName: String,
        _ wish: HandOverWish
    ) async throws -> HandOverRecord {
        let token = try target.map { try sealed($0.token, id, wish.organizationID) }
        let now = time.now
        let fresh: WorkspaceID = ids.make()
        return try await feed.transaction(organization: wish.organizationID) { transaction in
            if let known = try transaction.first(HandOverStore.byID, id).map(HandOverStore.record) {
                guard known.side == .destination, known.ownerID == wish.ownerID else {
                    throw Self.unknown("hand-over \(id)")
                }
                return known
            }
            let machine = HandOverMachine.destination(epoch: epoch)
            if workspace == nil {
                try transaction.run(
                    HandOverStore.workspaceInsert,
                    fresh,
                    wish.organizationID,
                    wish.ownerID,
                    new.environmentID,
                    new.repositoryID,
                    new.name,
                    new.directory,
                    new.location.rawValue,
                    new.baseReference,
                    new.branch,
                    new.issueURL,
                    new.pullRequestURL,
                    new.pullRequestNumber,
                    new.ratchetEnabled,
                    new.ratchetState,
                    now,
                    now,
                    // It never had one here.
                    0
                )
            }
            var row = try Self.row(workspace ?? fresh, wish, in: transaction)
            if let before = try Self.endEarlier(of: row, from: source, epoch, at: now, in: transaction) {
                row.custody = before
            }
            guard row.custody == .away || row.custody == .orphaned || row.custody == .arriving else {
                throw BerthError(
                    .conflict,
                    "the workspace \(row.id) is here already, and this server owns it",
                    remedy: "nothing has to be sent; see 'berth ws show \(row.id)'"
                )
            }
            guard epoch > row.epoch else { throw BerthError.stale("epoch", held: epoch, current: row.epoch) }
            try Self.checkBranch(new, row, in: transaction)
            return try Self.open(
                id,
                machine,
                of: row,
                target,
                token,
                peerName: peerName,
                peerWorkspace: source,
                wish,
                at: now,
                in: transaction
            )
        }
        .value
    }
}
