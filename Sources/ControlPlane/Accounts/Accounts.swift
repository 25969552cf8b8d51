public import Base
public import Crypto
public import Database
public import Domain

/// Who may come in: the built-in user of a single-user server, and API keys.
public struct Accounts: Sendable {
    let database: any SQLDatabase
    private let feed: Feed
    private let ids: IDSource
    private let time: any TimeSource
    private let randomness: any Randomness
    private let cache = KeyCache()

    public init(
        database: any SQLDatabase,
        feed: Feed,
        ids: IDSource,
        time: any TimeSource,
        randomness: any Randomness
    ) {
        self.database = database
        self.feed = feed
        self.ids = ids
        self.time = time
        self.randomness = randomness
    }

    /// The one organization and user of a server without accounts; made on first use, the same ever after.
    public func bootstrapSingleUser() async throws -> Principal {
        if let known = try await database.read(AccountStore.singleUser) { return known }
        do {
            return try await createSingleUser()
        } catch let error as BerthError where error.code == .conflict {
            // Another server of the same database came first.
            guard let known = try await database.read(AccountStore.singleUser) else { throw error }
            return known
        }
    }

    private func createSingleUser() async throws -> Principal {
        let made = Principal(organizationID: ids.make(), userID: ids.make(), role: .owner)
        let now = time.now
        return try await feed.transaction(organization: made.organizationID) { transaction in
            if let known = try AccountStore.singleUser(transaction) { return known }
            try AccountStore.organizationCreate(transaction, made, organization: "Home", user: "Me", at: now)
            try AccountStore.singleUserRemember(transaction, made, at: now)
            transaction.record(
                NewEvent("organization.created", subject: made.organizationID, ownerID: nil, at: now)
            )
            return made
        }.value
    }

    /// A key for the principal itself, with the rights that its user has at each use. Throws `forbidden`,
    /// `invalidValue` (name, expiry).
    public func createKey(
        name: String,
        kind: AccessToken.Kind = .personal,
        expiresAt: Timestamp? = nil,
        by principal: Principal
    ) async throws -> NewAPIKey {
        try principal.require(.manageKeys)
        let name = try Self.checked(name)
        let now = time.now
        if let expiresAt, expiresAt <= now {
            throw BerthError(.invalidValue, "the key would expire before it is made", field: "expiresAt")
        }
        let token = AccessToken.make(kind, randomness)
        let key = APIKey(
            id: ids.make(),
            userID: principal.userID,
            name: name,
            ending: token.ending,
            createdAt: now,
            expiresAt: expiresAt
        )
        let hash = token.hash
        let committed = try await feed.transaction(organization: principal.organizationID) { transaction in
            try AccountStore.keyInsert(transaction, key, hash: hash, organization: principal.organizationID)
            transaction.record(Self.event("api_key.created", key.id, owner: principal.userID, by: principal, now))
        }
        return NewAPIKey(key: key, token: token.text, seq: committed.seq)
    }

    /// Whose token this is. Throws `unauthenticated`, saying whether it is unknown, expired or revoked.
    public func principal(presenting text: Secret<String>) async throws -> Principal {
        guard let token = AccessToken(presented: text) else { throw Self.unknownKey }
        let hash = token.hash
        if let known = cache.use(hash, at: time.uptime, time.now) { return known }
        let generation = cache.generation
        let match = try await database.read { try AccountStore.keyFind($0, hash: hash) }
        guard let match, AccessToken.areEqual(match.hash, hash) else { throw Self.unknownKey }
        let now = time.now
        guard match.revokedAt == nil else {
            throw Self.refused("this API key was revoked")
        }
        var lifetime = KeyCache.lifetime
        if let expiresAt = match.expiresAt {
            guard expiresAt > now else { throw Self.refused("this API key has expired") }
            lifetime = min(lifetime, expiresAt - now)
        }
        cache.store(match.principal, hash, until: time.uptime + lifetime, generation: generation)
        cache.used(match.keyID, at: now)
        return match.principal
    }

    /// One's own keys; an admin's list holds everyone's. Revoked ones are included.
    public func keys(of principal: Principal) async throws -> [APIKey] {
        try principal.require(.manageKeys)
        return try await database.read {
            try AccountStore.keyList($0, principal.organizationID, user: Self.scope(principal))
        }
    }

    /// Which of these keys are good no more.
    public func lapsed(among keys: [APIKeyID]) async throws -> [APIKeyID] {
        let now = time.now
        return try await database.read { connection in
            try keys.filter { try connection.first(AccountStore.lapsedKey, $0, now) != nil }
        }
    }

    /// Revoking twice is no error. Throws `notFound` for a key that the principal cannot see.
    /// Returns the feed's position, nil when it was revoked before.
    @discardableResult
    public func revokeKey(_ id: APIKeyID, by principal: Principal) async throws -> Int64? {
        try principal.require(.manageKeys)
        let now = time.now
        let committed = try await feed.transaction(organization: principal.organizationID) { transaction in
            let scope = Self.scope(principal)
            let organization = principal.organizationID
            let revoked = try AccountStore.keyRevoke(transaction, id, organization, user: scope, at: now)
            guard let revoked else {
                guard try AccountStore.keyExists(transaction, id, organization, user: scope) else {
                    throw BerthError(.notFound, "there is no API key \(id)")
                }
                return [UInt8]?.none
            }
            transaction.record(Self.event("api_key.revoked", id, owner: revoked.owner, by: principal, now))
            return revoked.hash
        }
        if let hash = committed.value { cache.forget(hash) }
        return committed.seq
    }

    /// Writes down once a minute when keys were last used; returns when its task is cancelled.
    public func run() async throws {
        while true {
            do {
                try await time.wait(for: .seconds(60))
            } catch is CancellationError {
                return
            }
            try await recordUses()
        }
    }

    /// One transaction for all keys used since the last call; none when there were none.
    public func recordUses() async throws {
        let uses = cache.takeUses()
        guard !uses.isEmpty else { return }
        try await database.write { connection in
            for use in uses { try AccountStore.keyUsed(connection, use.key, at: use.at) }
        }
    }

    /// For the check at start that every statement fits the schema.
    public static var statements: [SQL] { AccountStore.statements }

    private static func scope(_ principal: Principal) -> UserID? {
        principal.may(.manageOrganization) ? nil : principal.userID
    }

    private static func checked(_ name: String) throws(BerthError) -> String {
        let name = name.trimmed
        guard (1...100).contains(name.count),
            !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            throw BerthError(
                .invalidValue,
                "a key's name is 1 to 100 characters without control characters",
                field: "name"
            )
        }
        return name
    }

    private static func event(
        _ type: String,
        _ key: APIKeyID,
        owner: UserID,
        by actor: Principal,
        _ at: Timestamp
    ) -> NewEvent {
        NewEvent(type, subject: key, ownerID: owner, actorID: actor.userID, at: at)
    }

    private static var unknownKey: BerthError { refused("this API key is not known here") }

    private static func refused(_ message: String) -> BerthError {
        BerthError(
            .unauthenticated,
            message,
            remedy: "the server's own key is in the file api-key of its data directory: name that with --data or "
                + "BERTH_DATA, or give a key as BERTH_API_KEY"
        )
    }
}
