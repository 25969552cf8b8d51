import Accounts
import Base
import Crypto
import Database
import Domain
import Synchronization
import TestSupport
import Testing

@Suite struct AccountsTests {
    private let time = SettableTime()

    private func withAccounts(_ body: (Accounts, Feed, any SQLDatabase) async throws -> Void) async throws {
        try await withDatabase(time: time) { database in
            let feed = Feed(database)
            try await body(accounts(database, feed), feed, database)
        }
    }

    private func accounts(_ database: any SQLDatabase, _ feed: Feed) -> Accounts {
        Accounts(
            database: database,
            feed: feed,
            ids: IDSource(time: time, randomness: SystemRandomness()),
            time: time,
            randomness: SystemRandomness()
        )
    }

    @Test func `every statement fits the schema`() async throws {
        try await withDatabase { try await $0.check(Accounts.statements + Feed.statements) }
    }

    @Test func `the single user is made once, also by servers that start together`() async throws {
        try await withAccounts { _, feed, database in
            let found = try await withThrowingTaskGroup(of: Principal.self) { group in
                for _ in 0..<8 {
                    let accounts = accounts(database, feed)
                    group.addTask { try await accounts.bootstrapSingleUser() }
                }
                return try await group.reduce(into: Set<Principal>()) { $0.insert($1) }
            }
            let principal = try #require(found.first)
            #expect(found.count == 1)
            #expect(principal.role == .owner)
            let position = try await feed.position(principal.organizationID)
            #expect(position == 1)
        }
    }

    @Test func `a key opens the door of its user until it is revoked`() async throws {
        try await withAccounts { accounts, feed, database in
            let principal = try await accounts.bootstrapSingleUser()
            let made = try await accounts.createKey(name: " laptop ", by: principal)
            #expect(made.key.name == "laptop")
            #expect(made.seq == 2)
            let found = try await accounts.principal(presenting: made.token)
            #expect(found.userID == principal.userID)
            #expect(found.keyID == made.key.id)

            let seq = try await accounts.revokeKey(made.key.id, by: principal)
            #expect(seq == 3)
            let error = await #expect(throws: BerthError.self) { try await accounts.principal(presenting: made.token) }
            #expect(error?.code == .unauthenticated)
            #expect(error?.message.contains("revoked") == true)
            let again = try await accounts.revokeKey(made.key.id, by: principal)
            #expect(again == nil)
            let listed = try await accounts.keys(of: principal)
            #expect(listed.map(\.revokedAt) == [time.now])
        }
    }

    @Test func `the key's text is nowhere in the database`() async throws {
        try await withAccounts { accounts, _, database in
            let made = try await accounts.createKey(name: "a", by: try await accounts.bootstrapSingleUser())
            let rows = try await database.read { try $0.rows("SELECT * FROM api_keys") }
            let events = try await database.read { try $0.rows("SELECT * FROM events") }
            #expect(!"\(rows)\(events)".contains(made.token.reveal()))
            #expect("\(rows)".contains(made.key.id.text))
            #expect(!"\(made)".contains(made.token.reveal()))
        }
    }

    @Test(arguments: ["", "dac_", "berth_zz", "dac_000000000000000000000000000000000000000000000000"])
    func `an unknown key is refused`(text: String) async throws {
        try await withAccounts { accounts, _, _ in
            _ = try await accounts.bootstrapSingleUser()
            let error = await #expect(throws: BerthError.self) {
                try await accounts.principal(presenting: Secret(text))
            }
            #expect(error?.code == .unauthenticated)
        }
    }

    @Test func `an expired key is refused, also while it is remembered`() async throws {
        try await withAccounts { accounts, _, _ in
            let principal = try await accounts.bootstrapSingleUser()
            let made = try await accounts.createKey(name: "a", expiresAt: time.now + .seconds(2), by: principal)
            _ = try await accounts.principal(presenting: made.token)
            time.advance(.seconds(2))
            let error = await #expect(throws: BerthError.self) { try await accounts.principal(presenting: made.token) }
            #expect(error?.message.contains("expired") == true)
        }
    }

    @Test func `uses are written down together`() async throws {
        try await withAccounts { accounts, _, _ in
            let principal = try await accounts.bootstrapSingleUser()
            let made = try await accounts.createKey(name: "a", by: principal)
            time.advance(.seconds(90))
            _ = try await accounts.principal(presenting: made.token)
            try await accounts.recordUses()
            let listed = try await accounts.keys(of: principal)
            #expect(listed.map(\.lastUsedAt) == [time.now])
        }
    }

    @Test func `a member sees and revokes only keys of its own`() async throws {
        try await withAccounts { accounts, _, database in
            let owner = try await accounts.bootstrapSingleUser()
            let ids = IDSource(time: time, randomness: SystemRandomness())
            let member = Principal(organizationID: owner.organizationID, userID: ids.make(), role: .member)
            try await database.write { connection in
                try connection.run("INSERT INTO users (id, name, created_at) VALUES ($1, 'm', 1)", member.userID)
                try connection.run(
                    "INSERT INTO members (organization_id, user_id, role, created_at) VALUES ($1, $2, 'member', 1)",
                    member.organizationID,
                    member.userID
                )
            }
            let owners = try await accounts.createKey(name: "o", by: owner)
            let members = try await accounts.createKey(name: "m", kind: .team, by: member)
            let seen = try await accounts.keys(of: member).map(\.id)
            #expect(seen == [members.key.id])
            let all = try await accounts.keys(of: owner).map(\.id)
            #expect(Set(all) == [owners.key.id, members.key.id])
            let error = await #expect(throws: BerthError.self) {
                try await accounts.revokeKey(owners.key.id, by: member)
            }
            #expect(error?.code == .notFound)
            try await accounts.revokeKey(members.key.id, by: owner)

            let stranger = Principal(organizationID: ids.make(), userID: ids.make(), role: .owner)
            let foreign = await #expect(throws: BerthError.self) {
                try await accounts.revokeKey(owners.key.id, by: stranger)
            }
            #expect(foreign?.code == .notFound)
        }
    }
}
