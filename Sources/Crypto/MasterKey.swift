public import Base
import OpenSSL

/// The deployment secret: 32 bytes from which every sealing key is derived.
public struct MasterKey: Sendable {
    static let length = 32

    private let bytes: Secret<[UInt8]>
    /// Names the key in records without telling anything about it.
    let id: [UInt8]

    static let idLength = 8

    public init(bytes: Secret<[UInt8]>) throws(BerthError) {
        guard bytes.reveal().count == Self.length else { throw Self.wrongForm }
        self.bytes = bytes
        id = try HKDFSHA256.derive(
            from: bytes.reveal(),
            salt: [],
            info: Array("berth/key-id/v1".utf8),
            length: Self.idLength
        )
    }

    /// 64 hexadecimal digits.
    public init(hex: Secret<String>) throws(BerthError) {
        guard let bytes = Hex.decode(hex.reveal().trimmed) else { throw Self.wrongForm }
        try self.init(bytes: Secret(bytes))
    }

    public static func make(_ randomness: any Randomness) throws(BerthError) -> MasterKey {
        try MasterKey(bytes: Secret(randomness.bytes(length)))
    }

    var hex: Secret<String> { Secret(Hex.encode(bytes.reveal())) }

    /// Key and nonce of one record: its random salt makes both unique, so a nonce never meets the same key twice.
    func derive(salt: [UInt8]) throws(BerthError) -> (key: [UInt8], nonce: [UInt8]) {
        let derived = try HKDFSHA256.derive(
            from: bytes.reveal(),
            salt: salt,
            info: Array("berth/seal/v1".utf8),
            length: AES256GCM.keyLength + AES256GCM.nonceLength
        )
        return (Array(derived.prefix(AES256GCM.keyLength)), Array(derived.suffix(AES256GCM.nonceLength)))
    }

    /// A key of its own for one purpose.
    func subkey(_ purpose: String) throws(BerthError) -> Secret<[UInt8]> {
        Secret(
            try HKDFSHA256.derive(
                from: bytes.reveal(),
                salt: [],
                info: Array("berth/subkey/v1/\(purpose)".utf8),
                length: Self.length
            )
        )
    }

    private static var wrongForm: BerthError {
        BerthError(
            .invalidValue,
            "the master key is not 64 hexadecimal digits",
            remedy: "make one with: openssl rand -hex 32"
        )
    }
}

/// The key that seals, and older ones that still open.
public struct KeyRing: Sendable {
    let current: MasterKey
    private let all: [MasterKey]

    public init(current: MasterKey, previous: [MasterKey] = []) {
        self.current = current
        all = [current] + previous
    }

    /// Names the current key without telling anything about it, hexadecimal.
    public var currentID: String { Hex.encode(current.id) }

    /// Whether a key with this name is in the ring.
    public func knows(_ id: String) -> Bool { Hex.decode(id).map { key(id: $0) != nil } ?? false }

    func key(id: some Sequence<UInt8>) -> MasterKey? { all.first { $0.id.elementsEqual(id) } }
}
