public import Base
import COpenSSL

/// AES-256-GCM (NIST SP 800-38D) with a 96-bit nonce and a 128-bit tag behind the ciphertext.
public enum AES256GCM {
    public static let keyLength = 32
    public static let nonceLength = 12
    public static let tagLength = 16

    /// A nonce must never be used twice with the same key.
    public static func seal(
        _ plaintext: [UInt8],
        key: [UInt8],
        nonce: [UInt8],
        authenticating context: [UInt8]
    ) throws(BerthError) -> [UInt8] {
        try requireLengths(key, nonce)
        guard let cipher = EVP_CIPHER_CTX_new() else { throw failure("EVP_CIPHER_CTX_new") }
        defer { EVP_CIPHER_CTX_free(cipher) }
        guard EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), nil, key, nonce) == 1 else { throw failure("init") }
        var written: Int32 = 0
        if !context.isEmpty, EVP_EncryptUpdate(cipher, nil, &written, context, Int32(clamping: context.count)) != 1 {
            throw failure("context")
        }
        var result = [UInt8](repeating: 0, count: plaintext.count + tagLength)
        guard
            plaintext.isEmpty
                || EVP_EncryptUpdate(cipher, &result, &written, plaintext, Int32(clamping: plaintext.count)) == 1
        else { throw failure("update") }
        // GCM is a stream mode: the final call writes nothing, it closes the tag.
        var last = [UInt8](repeating: 0, count: tagLength)
        guard EVP_EncryptFinal_ex(cipher, &last, &written) == 1 else { throw failure("final") }
        var tag = [UInt8](repeating: 0, count: tagLength)
        guard EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, Int32(tagLength), &tag) == 1 else {
            throw failure("tag")
        }
        result.replaceSubrange(plaintext.count..., with: tag)
        return result
    }

    /// nil when key, nonce, context or bytes are not those of the seal.
    public static func open(
        _ sealed: [UInt8],
        key: [UInt8],
        nonce: [UInt8],
        authenticating context: [UInt8]
    ) throws(BerthError) -> [UInt8]? {
        try requireLengths(key, nonce)
        guard sealed.count >= tagLength else { return nil }
        guard let cipher = EVP_CIPHER_CTX_new() else { throw failure("EVP_CIPHER_CTX_new") }
        defer { EVP_CIPHER_CTX_free(cipher) }
        guard EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), nil, key, nonce) == 1 else { throw failure("init") }
        let count = sealed.count - tagLength
        var written: Int32 = 0
        if !context.isEmpty, EVP_DecryptUpdate(cipher, nil, &written, context, Int32(clamping: context.count)) != 1 {
            throw failure("context")
        }
        var result = [UInt8](repeating: 0, count: count)
        guard count == 0 || EVP_DecryptUpdate(cipher, &result, &written, sealed, Int32(clamping: count)) == 1 else {
            return nil
        }
        var tag = Array(sealed[count...])
        guard EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, Int32(tagLength), &tag) == 1 else {
            throw failure("tag")
        }
        var last = [UInt8](repeating: 0, count: tagLength)
        return EVP_DecryptFinal_ex(cipher, &last, &written) == 1 ? result : nil
    }

    private static func requireLengths(_ key: [UInt8], _ nonce: [UInt8]) throws(BerthError) {
        guard key.count == keyLength, nonce.count == nonceLength else {
            throw BerthError(.internal, "a key or nonce has the wrong length")
        }
    }

    private static func failure(_ step: String) -> BerthError {
        BerthError(.internal, "encryption failed", detail: "AES-256-GCM: \(step), OpenSSL error \(ERR_get_error())")
    }
}
