public import Base
internal import COpenSSL
internal import Glibc

/// One TLS connection as a machine between bytes of the wire and bytes of the application; it does no input or output
/// but through ``output``. Used by one owner at a time.
public final class TLSSession {
    /// Takes what is to go onto the wire. The owner of the session, which outlives it.
    public unowned(unsafe) var output: (any TLSOutput)?
    /// The handshake is over and the peer is who it should be.
    public private(set) var isReady = false
    /// The peer said that it sends no more; an end without this may be an attacker's cut.
    public private(set) var hasPeerClosed = false
    var refusal: TLSRefusal?

    private let context: TLSContext
    private let serverName: String
    private var session: OpaquePointer?
    /// What ``receive(_:_:)`` was given and OpenSSL has not read yet. Empty outside that call.
    private var input = UnsafeRawBufferPointer(start: nil, count: 0)
    /// Bytes of a record that OpenSSL keeps because the record is not whole, and whether its head is: OpenSSL reads a
    /// record by its head, then the rest.
    private var held = 0
    private var hasHead = false
    private let now: @Sendable () -> Timestamp

    /// The server's end of a connection.
    public init(server context: TLSContext) throws(BerthError) {
        self.context = context
        serverName = ""
        now = { Timestamp(milliseconds: 0) }
        SSL_set_accept_state(try open())
    }

    /// The client's end of a connection.
    /// - Parameters:
    ///   - serverName: the name or numeric address that the certificate must be for.
    ///   - now: the wall clock, for what is said of a certificate's dates.
    public init(
        client context: TLSContext,
        serverName: String,
        now: @escaping @Sendable () -> Timestamp
    ) throws(BerthError) {
        self.context = context
        self.serverName = serverName
        self.now = now
        let session = try open()
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
        // A name that ends in a dot is the same host; RFC 6066, section 3, wants it without.
        var name = Array((serverName.hasSuffix(".") ? String(serverName.dropLast()) : serverName).utf8CString)
        name.withUnsafeMutableBytes { name in
            _ = SSL_ctrl(
                session,
                SSL_CTRL_SET_TLSEXT_HOSTNAME,
                Int(TLSEXT_NAMETYPE_host_name),
                name.baseAddress
            )
        }
    }

    private func open() throws(BerthError) -> OpaquePointer {
        guard let session = SSL_new(context.context) else { throw TLSFailure.error("cannot set up TLS") }
        self.session = session
        let own = Unmanaged.passUnretained(self).toOpaque()
        guard let wire = TLSWire.make(for: self), SSL_set_ex_data(session, 0, own) == 1 else {
            throw TLSFailure.error("cannot set up TLS")
        }
        SSL_set_bio(session, wire, wire)
        return session
    }

    deinit { SSL_free(session) }

    public var isServer: Bool { context.isServer }

    /// A client's first message; a server has nothing to say yet.
    public func start() throws(BerthError) { try handshake() }

    /// Takes bytes of the wire and hands out what they carried, in `buffer`, in one piece where that is large enough. What
    /// goes out after an error is what tells the peer.
    public func receive(
        _ bytes: UnsafeRawBufferPointer,
        in buffer: UnsafeMutableRawBufferPointer,
        _ deliver: (UnsafeRawBufferPointer) -> Void
    ) throws(BerthError) {
        input = bytes
        defer { input = UnsafeRawBufferPointer(start: nil, count: 0) }
        if !isReady {
            try handshake()
            guard isReady else { return }
        }
        var filled = 0
        defer { if filled > 0 { deliver(UnsafeRawBufferPointer(rebasing: buffer[..<filled])) } }
        while !hasPeerClosed {
            ERR_clear_error()
            let count = SSL_read(session, buffer.baseAddress.map { $0 + filled }, CInt(buffer.count - filled))
            if count > 0 {
                filled += Int(count)
                guard filled == buffer.count else { continue }
                filled = 0
                deliver(UnsafeRawBufferPointer(buffer))
                continue
            }
            switch SSL_get_error(session, count) {
            case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
            case SSL_ERROR_ZERO_RETURN: hasPeerClosed = true
            default: throw TLSFailure.error("the TLS connection broke")
            }
        }
    }

    /// Encrypts; only once ``isReady``.
    public func send(_ bytes: UnsafeRawBufferPointer) throws(BerthError) {
        var rest = bytes
        while rest.count > 0 {
            ERR_clear_error()
            // The wire takes everything; CInt is the only limit.
            let count = SSL_write(session, rest.baseAddress, CInt(min(rest.count, 1 << 30)))
            guard count > 0 else { throw TLSFailure.error("the TLS connection broke") }
            rest = UnsafeRawBufferPointer(rebasing: rest[Int(count)...])
        }
    }

    /// How many bytes of the wire must come before `count` more of what they carry can be there: a close guess, since
    /// the peer chooses its records.
    public func wireBytes(for count: Int) -> Int {
        max(0, count + (count + Self.recordBytes - 1) / Self.recordBytes * Self.recordOverhead - held)
    }

    private static let recordBytes = 16 * 1024
    /// Of TLS 1.3: a head of 5 bytes, the kind, a tag of 16 bytes.
    private static let recordOverhead = 22

    /// Says that we send no more.
    public func close() {
        ERR_clear_error()
        if isReady { SSL_shutdown(session) }
        ERR_clear_error()
    }

    private func handshake() throws(BerthError) {
        ERR_clear_error()
        let result = SSL_do_handshake(session)
        if result == 1 {
            isReady = true
            return
        }
        switch SSL_get_error(session, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return
        default: throw handshakeError()
        }
    }

    private func handshakeError() -> BerthError {
        if let refusal {
            ERR_clear_error()
            return refusal.error(server: serverName, now: now())
        }
        let reason = TLSFailure.takeReason()
        if context.isServer {
            return BerthError(.network, "the TLS handshake failed: \(reason?.text ?? "the peer broke off")")
        }
        switch reason?.number {
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_HTTP_REQUEST:
            return BerthError(
                .protocolViolation,
                "'\(serverName)' does not speak TLS on this port",
                remedy: "use http:// or ws://, or the port that speaks TLS"
            )
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            return BerthError(
                .protocolViolation,
                "'\(serverName)' speaks no TLS newer than 1.1, which is not safe",
                remedy: "have the server updated to TLS 1.2 or 1.3"
            )
        default:
            return BerthError(
                .network,
                "the TLS handshake with '\(serverName)' failed: \(reason?.text ?? "the server broke off")"
            )
        }
    }
}

// What OpenSSL's callbacks ask of the session.
extension TLSSession {
    /// Moves input into `buffer`; 0 when there is none.
    func takeInput(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(buffer.count, input.count)
        guard count > 0 else { return 0 }
        held += count
        if count == buffer.count {
            if hasHead { held = 0 }
            hasHead.toggle()
        }
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[..<count]))
        input = UnsafeRawBufferPointer(rebasing: input[count...])
        return count
    }

    func isPinned(_ pin: KeyPin) -> Bool { context.pins.contains(pin) }

    /// The session whose peer is being checked.
    static func of(_ check: OpaquePointer) -> TLSSession? {
        guard let session = X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx()),
            let data = SSL_get_ex_data(OpaquePointer(session), 0)
        else { return nil }
        return Unmanaged<TLSSession>.fromOpaque(data).takeUnretainedValue()
    }
}
