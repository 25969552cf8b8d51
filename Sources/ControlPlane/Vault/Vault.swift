public import Base
public import Crypto
public import Database

/// Secrets at rest: seals what goes into durable rows, and keeps the deployment's own named secrets.
public struct Vault: Sendable {
    private let sealer: Sealer
    private let store: SealedValueStore

    public init(sealer: Sealer, database: any SQLDatabase, time: any TimeSource) {
        self.sealer = sealer
        store = SealedValueStore(database: database, time: time)
    }

    public func seal(_ bytes: Secret<[UInt8]>, context: SealContext) throws(BerthError) -> [UInt8] {
        try sealer.seal(bytes, context: context)
    }

    /// Throws `seal_broken`, `seal_key_unknown`.
    public func open(_ record: [UInt8], context: SealContext) throws(BerthError) -> Secret<[UInt8]> {
        try sealer.open(record, context: context)
    }

    public func seal(_ text: Secret<String>, context: SealContext) throws(BerthError) -> [UInt8] {
        try sealer.seal(Secret(Array(text.reveal().utf8)), context: context)
    }

    public func openText(_ record: [UInt8], context: SealContext) throws(BerthError) -> Secret<String> {
        Secret(String(decoding: try sealer.open(record, context: context).reveal(), as: UTF8.self))
    }

    public func seal(_ variables: Variables, context: SealContext) throws -> [UInt8] {
        try sealer.seal(try variables.encoded(), context: context)
    }

    public func openVariables(_ record: [UInt8], context: SealContext) throws -> Variables {
        try Variables(encoded: try sealer.open(record, context: context))
    }

    /// Keeps a secret under its context until replaced or removed. `owner` nil: the organization's.
    public func put(_ secret: Secret<String>, context: SealContext, owner: UserID?) async throws {
        try await store.put(try seal(secret, context: context), context, owner)
    }

    public func get(_ context: SealContext) async throws -> Secret<String>? {
        guard let record = try await store.get(context) else { return nil }
        return try openText(record, context: context)
    }

    /// Whether there was one.
    @discardableResult
    public func remove(_ context: SealContext) async throws -> Bool { try await store.remove(context) }

    /// Seals again, under the current key, what an older one sealed; returns how many. Run once after a rotation.
    public func resealStored() async throws -> Int {
        var count = 0
        for (context, record) in try await store.all() where sealer.isOutdated(record) {
            let renewed = try sealer.seal(try sealer.open(record, context: context), context: context)
            if try await store.replace(record, with: renewed, context) { count += 1 }
        }
        return count
    }

    /// For the check at start that every statement fits the schema.
    public static var statements: [SQL] { SealedValueStore.statements }
}
