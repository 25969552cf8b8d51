internal import COpenSSL

/// SHA-1, only where a protocol demands it (the WebSocket handshake, RFC 6455); never for security.
public enum SHA1 {
    /// The 20-byte digest.
    public static func hash(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: Int(SHA_DIGEST_LENGTH))
        _ = COpenSSL.SHA1(bytes, bytes.count, &digest)
        return digest
    }
}
