public import Base
import OpenSSL

/// What a sealed value belongs to. A value moved to another row does not open there.
public struct SealContext: Sendable, Hashable {
    public var organizationID: OrganizationID
    /// Such as `execution.prompt`.
    public var purpose: String
    /// The id of the row.
    public var subject: String

    public init(organizationID: OrganizationID, purpose: String, subject: some CustomStringConvertible) {
        self.organizationID = organizationID
        self.purpose = purpose
        self.subject = subject.description
    }

    /// Parts with their lengths, so that no two contexts share an encoding.
    var bytes: [UInt8] {
        [organizationID.text, purpose, subject].flatMap { part in
            withUnsafeBytes(of: UInt32(clamping: part.utf8.count).bigEndian, Array.init) + Array(part.utf8)
        }
    }
}

/// Seals values for durable rows: AES-256-GCM under a key derived for each record.
///
/// Record: version (1 byte, 1), key id (8), salt (24), ciphertext, tag (16). Header and context are authenticated.
public struct Sealer: Sendable {
    private static let version: UInt8 = 1
    private static let saltLength = 24
    private static let headerLength = 1 + MasterKey.idLength + saltLength

    private let keys: KeyRing
    private let randomness: any Randomness

    public init(_ keys: KeyRing, randomness: any Randomness) {
        self.keys = keys
        self.randomness = randomness
    }

    public func seal(_ plaintext: Secret<[UInt8]>, context: SealContext) throws(BerthError) -> [UInt8] {
        let salt = randomness.bytes(Self.saltLength)
        let (key, nonce) = try keys.current.derive(salt: salt)
        let header = [Self.version] + keys.current.id + salt
        return header
            + (try AES256GCM.seal(
                plaintext.reveal(),
                key: key,
                nonce: nonce,
                authenticating: header + context.bytes
            ))
    }

    /// Throws `seal_key_unknown` when the record's key is not on the ring, and `seal_broken` when the record was changed
    /// or belongs elsewhere.
    public func open(_ record: [UInt8], context: SealContext) throws(BerthError) -> Secret<[UInt8]> {
        guard record.count >= Self.headerLength + AES256GCM.tagLength, record[0] == Self.version else {
            throw Self.broken(context)
        }
        let id = record[1..<1 + MasterKey.idLength]
        guard let key = keys.key(id: id) else {
            throw BerthError(
                .sealKeyUnknown,
                "a stored secret was sealed with another master key",
                remedy: "put the earlier key below the current one in the key file and start again",
                detail: "key \(Hex.encode(id)), \(context.purpose) of \(context.subject)"
            )
        }
        let header = Array(record.prefix(Self.headerLength))
        let (derived, nonce) = try key.derive(salt: Array(header.suffix(Self.saltLength)))
        let opened = try AES256GCM.open(
            Array(record.dropFirst(Self.headerLength)),
            key: derived,
            nonce: nonce,
            authenticating: header + context.bytes
        )
        guard let opened else { throw Self.broken(context) }
        return Secret(opened)
    }

    /// Whether a record should be sealed again because its key is no longer the current one.
    public func isOutdated(_ record: [UInt8]) -> Bool {
        !record.dropFirst().prefix(MasterKey.idLength).elementsEqual(keys.current.id)
    }

    private static func broken(_ context: SealContext) -> BerthError {
        BerthError(
            .sealBroken,
            "a stored secret cannot be opened: it was changed, or moved from another place",
            remedy: "store it again",
            detail: "\(context.purpose) of \(context.subject)"
        )
    }
}
