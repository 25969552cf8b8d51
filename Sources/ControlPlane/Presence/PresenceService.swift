public import Base
public import Database

/// Who is connected to which workspace. Rows and no connections: clients come and go by themselves, and whoever is silent
/// for a minute has gone.
public struct PresenceService: Sendable {
    let database: any SQLDatabase
    let feed: Feed
    let time: any TimeSource
    let ids: IDSource
    let log: Log

    private static let sweepInterval = Duration.seconds(15)

    public init(database: any SQLDatabase, feed: Feed, time: any TimeSource, ids: IDSource, log: Log) {
        self.database = database
        self.feed = feed
        self.time = time
        self.ids = ids
        self.log = log
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] { PresenceStore.statements }

    /// Where somebody joins.
    public struct Place: Sendable {
        public var organizationID: OrganizationID
        public var environmentID: EnvironmentID
        public var workspaceID: WorkspaceID?
        /// Whose it is: others see no event of it. nil: the organization's.
        public var ownerID: UserID?

        public init(
            organizationID: OrganizationID,
            environmentID: EnvironmentID,
            workspaceID: WorkspaceID?,
            ownerID: UserID?
        ) {
            self.organizationID = organizationID
            self.environmentID = environmentID
            self.workspaceID = workspaceID
            self.ownerID = ownerID
        }
    }

    public func join(_ place: Place, as user: UserID, from client: ClientType) async throws -> PresenceRecord {
        let id: PresenceID = ids.make()
        let now = time.now
        return try await feed.transaction(organization: place.organizationID) { transaction in
            try transaction.run(
                PresenceStore.insert,
                id,
                place.organizationID,
                place.environmentID,
                place.workspaceID,
                user,
                client.rawValue,
                now,
                now
            )
            guard let row = try transaction.first(PresenceStore.byID, id, place.organizationID) else {
                throw Self.unknown(id)
            }
            let record = try PresenceRecord(row)
            transaction.record(try Self.fact("presence.joined", record, owner: place.ownerID, at: now))
            return record
        }
        .value
    }

    /// Says that a client lives. Throws `gone` where it was silent for too long: it joins again then.
    public func heartbeat(_ id: PresenceID, organization: OrganizationID, by user: UserID) async throws
        -> PresenceRecord
    {
        let now = time.now
        return try await database.write(of: organization) { connection in
            guard try connection.run(PresenceStore.heartbeat, id, organization, user, now) > 0,
                let row = try connection.first(PresenceStore.byID, id, organization)
            else { throw Self.unknown(id) }
            return try PresenceRecord(row)
        }
    }

    /// - Parameter user: whose it must be; nil for who manages the organization.
    public func leave(_ id: PresenceID, organization: OrganizationID, by user: UserID?) async throws -> PresenceRecord {
        let now = time.now
        return try await feed.transaction(organization: organization) { transaction in
            guard let row = try transaction.first(PresenceStore.byID, id, organization) else { throw Self.unknown(id) }
            let record = try PresenceRecord(row)
            guard user == nil || record.userID == user else { throw Self.unknown(id) }
            try transaction.run(PresenceStore.delete, id, organization)
            transaction.record(try Self.fact("presence.left", record, owner: record.userID, at: now))
            return record
        }
        .value
    }

    public func get(_ id: PresenceID, organization: OrganizationID) async throws -> PresenceRecord {
        let row = try await database.read { try $0.first(PresenceStore.byID, id, organization) }
        guard let row else { throw Self.unknown(id) }
        return try PresenceRecord(row)
    }

    /// Oldest first.
    /// - Parameter onlyActive: leaves out those whose silence nobody has swept up yet.
    public func list(
        _ organization: OrganizationID,
        environment: EnvironmentID,
        workspace: WorkspaceID?,
        onlyActive: Bool = true
    ) async throws -> [PresenceRecord] {
        let since =
            onlyActive ? time.now + .milliseconds(-PresenceRecord.expiry.wholeMilliseconds) : Timestamp(milliseconds: 0)
        return try await database.read { connection in
            try connection.rows(PresenceStore.list, organization, environment, workspace, since).map(
                PresenceRecord.init
            )
        }
    }

    /// Sweeps up the silent until its task is cancelled. Several servers may do so: each row goes once.
    public func run() async throws {
        while true {
            try await sweep()
            try await time.wait(for: Self.sweepInterval)
        }
    }

    /// One round.
    public func sweep() async throws {
        let now = time.now
        let cutoff = now + .milliseconds(-PresenceRecord.expiry.wholeMilliseconds)
        let silent = try await database.read { try $0.rows(PresenceStore.silent, cutoff).map(PresenceRecord.init) }
        for record in silent {
            try await feed.transaction(organization: record.organizationID) { transaction in
                guard try transaction.run(PresenceStore.expire, record.id, record.organizationID, cutoff) > 0 else {
                    return
                }
                transaction.record(
                    try Self.fact("presence.left", record, owner: record.userID, at: now, reason: "expired")
                )
            }
        }
        if !silent.isEmpty { log.info("silent clients removed", ["count": silent.count]) }
    }

    private static func unknown(_ id: PresenceID) -> BerthError {
        BerthError(
            .gone,
            "\(id) is not connected any more",
            field: "presenceId",
            remedy: "join again; a client says every 20 s that it lives, and has gone after 60 s of silence"
        )
    }

    private static func fact(
        _ type: String,
        _ record: PresenceRecord,
        owner: UserID?,
        at: Timestamp,
        reason: String? = nil
    ) throws -> NewEvent {
        struct Fact: Encodable {
            var environmentId: EnvironmentID
            var workspaceId: WorkspaceID?
            var userId: UserID
            var clientType: ClientType
            var reason: String?
        }
        let fact = Fact(
            environmentId: record.environmentID,
            workspaceId: record.workspaceID,
            userId: record.userID,
            clientType: record.clientType,
            reason: reason
        )
        let payload = String(decoding: try JSONText.encode(fact), as: UTF8.self)
        return NewEvent(type, subject: record.id, ownerID: owner, actorID: record.userID, payload: payload, at: at)
    }
}
