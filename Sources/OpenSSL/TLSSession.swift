public import Base
internal import COpenSSL
internal import Glibc

/// One TLS connection as a machine between bytes of the wire and bytes of the application; it does no input or output.
/// Used by one owner at a time.
public final class TLSSession {
    private let context: TLSContext
    private let serverName: String
    private let session: OpaquePointer
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    /// The handshake is over and the peer is who it should be.
    public private(set) var isReady = false
    /// The peer said that it sends no more; an end without this may be an attacker's cut.
    public private(set) var hasPeerClosed = false

    /// A client's session verifies `serverName` (a name or a numeric address) and sends it along.
    public init(_ context: TLSContext, serverName: String = "") throws(BerthError) {
        guard let session = SSL_new(context.context), let incoming = BIO_new(BIO_s_mem()),
            let outgoing = BIO_new(BIO_s_mem())
        else { throw TLSFailure.error("cannot set up TLS") }
        self.context = context
        self.serverName = serverName
        self.session = session
        self.incoming = incoming
        self.outgoing = outgoing
        SSL_set_bio(session, incoming, outgoing)
        if context.isServer {
            SSL_set_accept_state(session)
            return
        }
        SSL_set_connect_state(session)
        var address = in6_addr()
        let isNumeric =
            inet_pton(AF_INET, serverName, &address) == 1 || inet_pton(AF_INET6, serverName, &address) == 1
        if isNumeric {
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), serverName)
            return
        }
        SSL_set_hostflags(session, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        SSL_set1_host(session, serverName)
        var name = Array(serverName.utf8CString)
        name.withUnsafeMutableBytes { name in
            _ = SSL_ctrl(
                session,
                SSL_CTRL_SET_TLSEXT_HOSTNAME,
                Int(TLSEXT_NAMETYPE_host_name),
                name.baseAddress
            )
        }
    }

    deinit { SSL_free(session) }

    /// A client's first message; a server has nothing to say yet. Take the output afterwards.
    public func start() throws(BerthError) { try handshake() }

    /// Takes bytes of the wire and hands out what they carried. Take the output afterwards, also after an error: it is
    /// what tells the peer.
    public func receive(
        _ bytes: UnsafeRawBufferPointer,
        _ deliver: (UnsafeRawBufferPointer) -> Void
    ) throws(BerthError) {
        var rest = bytes
        while let base = rest.baseAddress, rest.count > 0 {
            let taken = BIO_write(incoming, base, CInt(rest.count))
            guard taken > 0 else { throw TLSFailure.error("cannot store TLS input") }
            rest = UnsafeRawBufferPointer(rebasing: rest[Int(taken)...])
        }
        if !isReady {
            try handshake()
            guard isReady else { return }
        }
        try withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 16) { buffer throws(BerthError) in
            while !hasPeerClosed {
                ERR_clear_error()
                let count = SSL_read(session, buffer.baseAddress, CInt(buffer.count))
                if count > 0 {
                    deliver(UnsafeRawBufferPointer(start: buffer.baseAddress, count: Int(count)))
                    continue
                }
                switch SSL_get_error(session, count) {
                case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
                case SSL_ERROR_ZERO_RETURN: hasPeerClosed = true
                default: throw TLSFailure.error("the TLS connection broke")
                }
            }
        }
    }

    /// Encrypts; only once ``isReady``. Take the output afterwards.
    public func send(_ bytes: UnsafeRawBufferPointer) throws(BerthError) {
        guard bytes.count > 0 else { return }
        var rest = bytes
        while rest.count > 0 {
            ERR_clear_error()
            // A memory BIO takes everything; CInt is the only limit.
            let count = SSL_write(session, rest.baseAddress, CInt(min(rest.count, 1 << 30)))
            guard count > 0 else { throw TLSFailure.error("the TLS connection broke") }
            rest = UnsafeRawBufferPointer(rebasing: rest[Int(count)...])
        }
    }

    /// Says that we send no more. Take the output afterwards.
    public func close() {
        ERR_clear_error()
        if isReady { SSL_shutdown(session) }
        ERR_clear_error()
    }

    /// Hands out what is to go onto the wire.
    public func takeOutput(_ body: (UnsafeRawBufferPointer) -> Void) {
        var start: UnsafeMutableRawPointer?
        let count = BIO_ctrl(outgoing, BIO_CTRL_INFO, 0, &start)
        guard count > 0, let start else { return }
        body(UnsafeRawBufferPointer(start: start, count: count))
        BIO_ctrl(outgoing, BIO_CTRL_RESET, 0, nil)
    }

    private func handshake() throws(BerthError) {
        ERR_clear_error()
        let result = SSL_do_handshake(session)
        if result == 1 {
            try checkPinnedKey()
            isReady = true
            return
        }
        switch SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
        default:
            let verified = SSL_get_verify_result(session)
            guard !context.isServer, verified != X509_V_OK else { throw TLSFailure.error("the TLS handshake failed") }
            ERR_clear_error()
            throw BerthError(
                .network,
                "the certificate of '\(serverName)' is not accepted: "
                    + String(cString: X509_verify_cert_error_string(verified)),
                remedy: "install its certificate authority, or name it in the configuration"
            )
        }
    }

    private func checkPinnedKey() throws(BerthError) {
        guard let expected = context.pinnedKey else { return }
        guard let certificate = SSL_get1_peer_certificate(session) else {
            throw BerthError(.network, "'\(serverName)' showed no certificate")
        }
        defer { X509_free(certificate) }
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded)
        defer { CRYPTO_free(encoded, #fileID, #line) }
        guard count > 0, let encoded,
            SHA256.hash(Array(UnsafeBufferPointer(start: encoded, count: Int(count)))) == expected
        else {
            throw BerthError(
                .network,
                "'\(serverName)' has another key than the one pinned",
                remedy: "if the server's key was changed on purpose, pin the new one"
            )
        }
    }
}
