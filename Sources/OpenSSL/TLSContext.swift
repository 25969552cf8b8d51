public import Base
internal import COpenSSL

/// Keys, trust and settings shared by the sessions of a server or a client: TLS 1.2 and newer, ciphers with forward
/// secrecy and authentication only, ALPN `http/1.1`, no renegotiation, no compression, no resumption (Docs/decisions/0017).
///
/// `@unchecked Sendable`: the SSL_CTX is not changed after `init`, and OpenSSL lets threads share it then.
public final class TLSContext: @unchecked Sendable {
    let context: OpaquePointer
    let isServer: Bool
    let pins: [KeyPin]

    private init(_ method: OpaquePointer?, isServer: Bool, pins: [KeyPin] = []) throws(BerthError) {
        guard let context = SSL_CTX_new(method) else { throw TLSFailure.error("cannot set up TLS") }
        self.context = context
        self.isServer = isServer
        self.pins = pins
        SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
        // An idle connection gives its 34 KB of buffers back.
        SSL_CTX_ctrl(context, SSL_CTRL_MODE, Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY), nil)
        SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
        SSL_CTX_set_options(
            context,
            Self.noRenegotiation | Self.noCompression | Self.noTicket | Self.serverPreference
        )
        SSL_CTX_set_num_tickets(context, 0)
        guard SSL_CTX_set_cipher_list(context, Self.ciphers) == 1,
            SSL_CTX_set_ciphersuites(context, Self.suites) == 1
        else { throw TLSFailure.error("cannot set up TLS") }
    }

    // AES-128 first: it is as much out of reach as AES-256 and takes a quarter less processor time.
    private static let ciphers =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AESGCM:ECDHE+CHACHA20"
    private static let suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

    // Macros of OpenSSL that do not import.
    private static let serverPreference = UInt64(1) << 22  // SSL_OP_CIPHER_SERVER_PREFERENCE
    private static let noRenegotiation = UInt64(1) << 30  // SSL_OP_NO_RENEGOTIATION
    private static let noCompression = UInt64(1) << 17  // SSL_OP_NO_COMPRESSION
    private static let noTicket = UInt64(1) << 14  // SSL_OP_NO_TICKET

    deinit { SSL_CTX_free(context) }

    /// A server's; ``TLSIdentity`` is what makes them.
    static func server(chain: [UInt8], key: [UInt8], names: TLSIdentity.Files) throws(BerthError) -> TLSContext {
        let made = try TLSContext(TLS_server_method(), isServer: true)
        try made.use(chain: chain, key: key, names: names)
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
        var pins: [KeyPin] = []
        if case .keys(let given) = trust { pins = given }
        let made = try TLSContext(TLS_client_method(), isServer: false, pins: pins)
        try trust.load(into: made.context)
        made.verifyPeers()
        let offer: [UInt8] = [8] + Array("http/1.1".utf8)
        SSL_CTX_set_alpn_protos(made.context, offer, UInt32(offer.count))
        return made
    }

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
        guard let reason = takeReason() else { return BerthError(code, message) }
        return BerthError(code, "\(message): \(reason.text)")
    }

    /// The first error of the thread's queue, which is emptied.
    static func takeReason() -> (number: CInt, text: String)? {
        let number = ERR_get_error()
        ERR_clear_error()
        guard number != 0 else { return nil }
        let text = ERR_reason_error_string(number).map { String(cString: $0) } ?? "error \(number)"
        return (ERR_GET_REASON(number), text)
    }
}
