internal import COpenSSL

/// Takes the encrypted bytes of a session, in order, while it works. They are valid only during the call.
public protocol TLSOutput: AnyObject {
    func tlsSends(_ bytes: UnsafeRawBufferPointer)
}

/// Stands where OpenSSL expects a socket: it reads what ``TLSSession`` was just given and writes straight to its
/// output, so nothing is stored between the kernel's buffers and OpenSSL's.
enum TLSWire {
    /// What says why a call did nothing.
    private static let retryFlags = BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY

    /// Made once and never changed, so it may be shared by all threads.
    private nonisolated(unsafe) static let method: OpaquePointer? = {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "berth") else { return nil }
        BIO_meth_set_read(method) { bio, buffer, count in
            guard let bio, let buffer, let session = TLSWire.session(bio) else { return -1 }
            BIO_clear_flags(bio, TLSWire.retryFlags)
            let taken = session.takeInput(UnsafeMutableRawBufferPointer(start: buffer, count: Int(count)))
            guard taken == 0 else { return CInt(taken) }
            BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            return -1
        }
        BIO_meth_set_write(method) { bio, bytes, count in
            guard let bio, let bytes, let session = TLSWire.session(bio) else { return -1 }
            BIO_clear_flags(bio, TLSWire.retryFlags)
            session.output?.tlsSends(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            return count
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return method
    }()

    /// A BIO for one session, unretained: the session owns it and frees it first.
    static func make(for session: TLSSession) -> OpaquePointer? {
        guard let method, let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, Unmanaged.passUnretained(session).toOpaque())
        BIO_set_init(bio, 1)
        return bio
    }

    private static func session(_ bio: OpaquePointer) -> TLSSession? {
        BIO_get_data(bio).map { Unmanaged<TLSSession>.fromOpaque($0).takeUnretainedValue() }
    }
}
