public import Base
internal import COpenSSL

/// A key pair of Ed25519 (RFC 8032).
public struct Ed25519KeyPair: Sendable {
    public static let seedLength = 32

    /// 32 bytes: all that is secret of it.
    public let seed: Secret<[UInt8]>
    /// 32 bytes.
    public let publicKey: [UInt8]

    /// Throws `invalid_value` for a seed of another length.
    public init(seed: [UInt8]) throws(BerthError) {
        guard seed.count == Self.seedLength else {
            throw BerthError(.invalidValue, "the seed of a key must have \(Self.seedLength) bytes")
        }
        guard let key = EVP_PKEY_new_raw_private_key(NID_ED25519, nil, seed, seed.count) else {
            throw BerthError(.internal, "no Ed25519 key could be made")
        }
        defer { EVP_PKEY_free(key) }
        var bytes = [UInt8](repeating: 0, count: 32)
        var count = bytes.count
        guard EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1, count == bytes.count else {
            throw BerthError(.internal, "no Ed25519 key could be made")
        }
        self.seed = Secret(seed)
        publicKey = bytes
    }
}
