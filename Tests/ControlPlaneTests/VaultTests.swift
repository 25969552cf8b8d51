import Base
import Crypto
import Database
import TestSupport
import Testing
import Vault

@Suite struct VaultTests {
    private let ids = IDSource(time: SystemTime(), randomness: SystemRandomness())

    private func vault(_ database: any SQLDatabase, _ ring: KeyRing) -> Vault {
        Vault(sealer: Sealer(ring, randomness: SystemRandomness()), database: database, time: SystemTime())
    }

    private func withOrganization(_ body: (any SQLDatabase, OrganizationID) async throws -> Void) async throws {
        try await withDatabase { database in
            let organization: OrganizationID = ids.make()
            try await database.write {
                try $0.run("INSERT INTO organizations (id, name, created_at) VALUES ($1, 'o', 1)", organization)
            }
            try await body(database, organization)
        }
    }

    @Test func `every statement fits the schema`() async throws {
        try await withDatabase { try await $0.check(Vault.statements) }
    }

    @Test func `variables survive sealing and show in no description`() async throws {
        try await withOrganization { database, organization in
            let vault = vault(database, KeyRing(current: try MasterKey.make(SystemRandomness())))
            let context = SealContext(organizationID: organization, purpose: "execution.env", subject: "x")
            let variables = try Variables(["TOKEN": Secret("pä\"ss\nword"), "EMPTY": Secret("")])
            let record = try vault.seal(variables, context: context)
            #expect(!String(decoding: record, as: UTF8.self).contains("TOKEN"))
            let opened = try vault.openVariables(record, context: context)
            #expect(opened == variables)
            #expect(!"\(variables) \(vault)".contains("word"))
        }
    }

    @Test(arguments: ["", "1A", "A-B", "A=B", "Ä", "A B"])
    func `a bad variable name is refused by name`(name: String) {
        let error = #expect(throws: BerthError.self) { try Variables([name: Secret("topsecret")]) }
        #expect(error?.code == .invalidValue)
        #expect(error.map { !"\($0)".contains("topsecret") } == true)
    }

    @Test func `too much and NUL are refused`() {
        let large = #expect(throws: BerthError.self) {
            try Variables(["A": Secret(String(repeating: "x", count: Variables.byteLimit))])
        }
        #expect(large?.code == .tooLarge)
        let zero = #expect(throws: BerthError.self) { try Variables(["A": Secret("a\0b")]) }
        #expect(zero?.field == "env.A")
    }

    @Test func `a stored secret is replaced, removed, and carried over a key rotation`() async throws {
        try await withOrganization { database, organization in
            let (old, new) = (try MasterKey.make(SystemRandomness()), try MasterKey.make(SystemRandomness()))
            let context = SealContext(organizationID: organization, purpose: "credential", subject: "claude")
            let before = vault(database, KeyRing(current: old))
            try await before.put(Secret("first"), context: context, owner: nil)
            try await before.put(Secret("second"), context: context, owner: nil)

            let rotating = vault(database, KeyRing(current: new, previous: [old]))
            let resealed = try await rotating.resealStored()
            let again = try await rotating.resealStored()
            #expect((resealed, again) == (1, 0))

            let after = vault(database, KeyRing(current: new))
            let value = try await after.get(context)
            #expect(value?.reveal() == "second")
            let (removed, gone) = (try await after.remove(context), try await after.get(context))
            #expect(removed)
            #expect(gone == nil)
        }
    }
}
