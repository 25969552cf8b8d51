public import Base
internal import COpenSSL
internal import FoundationEssentials
internal import Synchronization

/// A server's certificate chain and key, from PEM files. They can be loaded anew while the server runs: connections that
/// are open keep what they began with.
public final class TLSIdentity: Sendable {
    struct Files: Sendable {
        let certificate: String
        let key: String
    }

    private struct State {
        var context: TLSContext
        var certificate: TLSCertificate
        /// Of what was loaded.
        var digest: [UInt8]
    }

    private let files: Files
    private let state: Mutex<State>

    /// - Parameters:
    ///   - certificateFile: PEM chain, the server's own certificate first.
    ///   - keyFile: PEM key that belongs to it, not encrypted; may be the same file.
    public init(certificateFile: String, keyFile: String) throws(BerthError) {
        files = Files(certificate: certificateFile, key: keyFile)
        state = Mutex(try Self.load(files))
    }

    /// The server's own.
    public var certificate: TLSCertificate { state.withLock { $0.certificate } }

    /// For the next session.
    public var context: TLSContext { state.withLock { $0.context } }

    /// Reads the files again. False if they hold what is in use. Throws, and keeps what is in use, when they are not a
    /// certificate and its key.
    public func reload() throws(BerthError) -> Bool {
        let fresh = try Self.load(files)
        return state.withLock { state in
            if fresh.digest == state.digest { return false }
            state = fresh
            return true
        }
    }

    private static func load(_ files: Files) throws(BerthError) -> State {
        let chain = try read(files.certificate, what: "certificate")
        let key = files.key == files.certificate ? chain : try read(files.key, what: "key")
        let context = try TLSContext.server(chain: chain, key: key, names: files)
        guard let own = SSL_CTX_get0_certificate(context.context) else {
            throw BerthError(.internal, "a TLS context lost its certificate")
        }
        return State(
            context: context,
            certificate: TLSCertificate(own),
            digest: SHA256.hash(chain) + SHA256.hash(key)
        )
    }

    private static func read(_ path: String, what: String) throws(BerthError) -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(filePath: path)))
        } catch {
            throw BerthError(
                .invalidValue,
                "the \(what) '\(path)' cannot be read",
                remedy: "check its path, owner and mode",
                detail: String(describing: error)
            )
        }
    }
}

extension TLSContext {
    /// Installs the chain and the key; a key of another certificate is refused.
    func use(chain: [UInt8], key: [UInt8], names: TLSIdentity.Files) throws(BerthError) {
        try useChain(chain, path: names.certificate)
        ERR_clear_error()
        guard let input = BIO_new_mem_buf(key, CInt(clamping: key.count)) else {
            throw TLSFailure.error("cannot set up TLS")
        }
        defer { BIO_free(input) }
        var isEncrypted = false
        // Nobody is there to type a passphrase: that it is asked for is all we want to know.
        let read = PEM_read_bio_PrivateKey(
            input,
            nil,
            { _, _, _, flag in
                flag?.assumingMemoryBound(to: Bool.self).pointee = true
                return -1
            },
            &isEncrypted
        )
        guard let read else {
            if isEncrypted {
                ERR_clear_error()
                throw BerthError(
                    .invalidValue,
                    "the key '\(names.key)' is encrypted with a passphrase, which a server cannot be asked for",
                    remedy: "decrypt it with: openssl pkey -in \(names.key) -out plain.key, and close it to others"
                )
            }
            throw TLSFailure.error("the file '\(names.key)' holds no private key that can be used", code: .invalidValue)
        }
        defer { EVP_PKEY_free(read) }
        guard SSL_CTX_use_PrivateKey(context, read) == 1, SSL_CTX_check_private_key(context) == 1 else {
            throw TLSFailure.error(
                "the key '\(names.key)' does not belong to the certificate '\(names.certificate)'",
                code: .invalidValue
            )
        }
    }

    private func useChain(_ chain: [UInt8], path: String) throws(BerthError) {
        ERR_clear_error()
        guard let input = BIO_new_mem_buf(chain, CInt(clamping: chain.count)) else {
            throw TLSFailure.error("cannot set up TLS")
        }
        defer { BIO_free(input) }
        guard let own = PEM_read_bio_X509_AUX(input, nil, nil, nil) else {
            throw TLSFailure.error("the file '\(path)' holds no certificate", code: .invalidValue)
        }
        defer { X509_free(own) }
        guard SSL_CTX_use_certificate(context, own) == 1 else {
            throw TLSFailure.error("the certificate '\(path)' cannot be used", code: .invalidValue)
        }
        while let next = PEM_read_bio_X509(input, nil, nil, nil) {
            // The context owns it once it is in.
            guard SSL_CTX_ctrl(context, SSL_CTRL_CHAIN_CERT, 0, UnsafeMutableRawPointer(next)) == 1 else {
                X509_free(next)
                throw TLSFailure.error("the chain in '\(path)' cannot be used", code: .invalidValue)
            }
        }
        // The end of the file ends the loop with "no start line"; anything else is a damaged certificate.
        guard let reason = TLSFailure.takeReason(), reason.number != PEM_R_NO_START_LINE else { return }
        throw BerthError(.invalidValue, "the chain in '\(path)' is damaged: \(reason.text)")
    }
}
