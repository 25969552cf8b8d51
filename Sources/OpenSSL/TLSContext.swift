public import Base
internal import COpenSSL
internal import Glibc

/// Whom a TLS client believes.
public enum TLSTrust: Sendable {
    /// The certificate authorities of the system, and the name must match.
    case system
    /// Those of a PEM file, and the name must match.
    case authorities(file: String)
    /// Exactly the server whose public key (SubjectPublicKeyInfo, DER) has this SHA-256; name and date do not matter.
    case publicKey(sha256: [UInt8])
}

/// Keys, trust and settings shared by the sessions of a server or a client. TLS 1.2 and newer, ALPN `http/1.1`.
///
/// `@unchecked Sendable`: the SSL_CTX is not changed after `init`, and OpenSSL lets threads share it then.
public final class TLSContext: @unchecked Sendable {
    let context: OpaquePointer
    let isServer: Bool
    let pinnedKey: [UInt8]?

    private init(_ method: OpaquePointer?, isServer: Bool, pinnedKey: [UInt8]?) throws(BerthError) {
        guard let context = SSL_CTX_new(method) else { throw TLSFailure.error("cannot set up TLS") }
        self.context = context
        self.isServer = isServer
        self.pinnedKey = pinnedKey
        SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
        // An idle connection gives its 34 KB of buffers back.
        SSL_CTX_ctrl(context, SSL_CTRL_MODE, Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY), nil)
        SSL_CTX_set_options(context, Self.noRenegotiation | Self.noCompression)
    }

    private static let noRenegotiation = UInt64(1) << 30  // SSL_OP_NO_RENEGOTIATION, a macro that does not import
    private static let noCompression = UInt64(1) << 17  // SSL_OP_NO_COMPRESSION

    deinit { SSL_CTX_free(context) }

    /// A server's, from a PEM chain (its own certificate first) and the PEM key that belongs to it.
    public static func server(certificateFile: String, keyFile: String) throws(BerthError) -> TLSContext {
        let made = try TLSContext(TLS_server_method(), isServer: true, pinnedKey: nil)
        guard SSL_CTX_use_certificate_chain_file(made.context, certificateFile) == 1 else {
            throw TLSFailure.error("cannot use the certificate '\(certificateFile)'", code: .invalidValue)
        }
        guard SSL_CTX_use_PrivateKey_file(made.context, keyFile, SSL_FILETYPE_PEM) == 1,
            SSL_CTX_check_private_key(made.context) == 1
        else {
            throw TLSFailure.error("cannot use the key '\(keyFile)' for that certificate", code: .invalidValue)
        }
        SSL_CTX_set_alpn_select_cb(
            made.context,
            { _, out, outLength, offered, count, _ in
                TLSContext.selectProtocol(out, outLength, offered, count)
            },
            nil
        )
        return made
    }

    /// A client's.
    public static func client(trust: TLSTrust = .system) throws(BerthError) -> TLSContext {
        var pinnedKey: [UInt8]?
        if case .publicKey(let digest) = trust { pinnedKey = digest }
        let made = try TLSContext(TLS_client_method(), isServer: false, pinnedKey: pinnedKey)
        switch trust {
        case .publicKey(let digest):
            guard digest.count == SHA256.digestLength else {
                throw BerthError(.invalidValue, "a pinned key is \(digest.count) bytes long instead of 32")
            }
        case .authorities(let file):
            guard SSL_CTX_load_verify_locations(made.context, file, nil) == 1 else {
                throw TLSFailure.error("cannot use the certificate authorities in '\(file)'", code: .invalidValue)
            }
        case .system:
            SSL_CTX_set_default_verify_paths(made.context)
            // A static program does not know where the system it runs on keeps them.
            for bundle in systemBundles where access(bundle, R_OK) == 0 {
                if SSL_CTX_load_verify_locations(made.context, bundle, nil) == 1 { break }
            }
        }
        SSL_CTX_set_verify(made.context, pinnedKey == nil ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        let offer: [UInt8] = [8] + Array("http/1.1".utf8)
        SSL_CTX_set_alpn_protos(made.context, offer, UInt32(offer.count))
        return made
    }

    private static let systemBundles = [
        "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Alpine, Arch
        "/etc/pki/tls/certs/ca-bundle.crt",  // Fedora, RHEL
        "/etc/ssl/ca-bundle.pem",  // SUSE
        "/etc/ssl/cert.pem",
    ]

    /// `http/1.1` if the client offers it; a client that offers only other protocols gets none (RFC 7301).
    private static func selectProtocol(
        _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ outLength: UnsafeMutablePointer<UInt8>?,
        _ offered: UnsafePointer<UInt8>?,
        _ count: UInt32
    ) -> CInt {
        guard let offered else { return SSL_TLSEXT_ERR_NOACK }
        let wanted = Array("http/1.1".utf8)
        var position = 0
        while position < Int(count) {
            let length = Int(offered[position])
            guard position + 1 + length <= Int(count) else { break }
            let name = UnsafeBufferPointer(start: offered + position + 1, count: length)
            if name.elementsEqual(wanted) {
                out?.pointee = offered + position + 1
                outLength?.pointee = UInt8(length)
                return SSL_TLSEXT_ERR_OK
            }
            position += 1 + length
        }
        return SSL_TLSEXT_ERR_NOACK
    }
}

enum TLSFailure {
    /// The error with OpenSSL's own reason, and nothing left behind in the thread's error queue.
    static func error(_ message: String, code: ErrorCode = .network) -> BerthError {
        let number = ERR_get_error()
        ERR_clear_error()
        guard number != 0 else { return BerthError(code, message) }
        let reason = ERR_reason_error_string(number).map { String(cString: $0) } ?? "error \(number)"
        return BerthError(code, "\(message): \(reason)")
    }
}
