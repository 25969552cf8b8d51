public import Base
import COpenSSL

/// HMAC-SHA256 (RFC 2104).
public enum HMACSHA256 {
    public static func authenticate(_ message: [UInt8], key: [UInt8]) throws(BerthError) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: SHA256.digestLength)
        var length: UInt32 = 0
        // A null key means "the key of the call before" to OpenSSL; an empty one is thirty-two zeros to HMAC.
        let key = key.isEmpty ? [UInt8](repeating: 0, count: SHA256.digestLength) : key
        guard HMAC(EVP_sha256(), key, Int32(clamping: key.count), message, message.count, &result, &length) != nil
        else {
            throw BerthError(.internal, "a message could not be authenticated", detail: "HMAC failed")
        }
        return result
    }
}

/// HKDF with SHA-256 (RFC 5869).
public enum HKDFSHA256 {
    /// `length` is at most 255 × 32 bytes.
    public static func derive(
        from secret: [UInt8],
        salt: [UInt8],
        info: [UInt8],
        length: Int
    ) throws(BerthError) -> [UInt8] {
        guard (1...255 * SHA256.digestLength).contains(length) else {
            throw BerthError(.internal, "a derived key has an impossible length")
        }
        let pseudorandom = try HMACSHA256.authenticate(secret, key: salt)
        var result: [UInt8] = []
        var block: [UInt8] = []
        var number: UInt8 = 1
        while result.count < length {
            block = try HMACSHA256.authenticate(block + info + [number], key: pseudorandom)
            result += block
            number &+= 1
        }
        return Array(result.prefix(length))
    }
}

/// Comparison whose time does not tell where two secrets differ.
public enum SecureComparison {
    public static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }
}
