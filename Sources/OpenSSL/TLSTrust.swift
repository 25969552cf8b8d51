internal import Base
internal import COpenSSL
internal import Glibc

/// Whom a TLS client believes.
public enum TLSTrust: Sendable {
    /// The certificate authorities of the system, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead; the
    /// name must match.
    case system
    /// Those of a PEM file, and the name must match. A server's own certificate may stand there, too.
    case authorities(file: String)
    /// Exactly the servers with one of these keys; names and dates do not matter.
    case keys([KeyPin])
}

extension TLSTrust {
    /// Where systems keep their authorities; a static program cannot be told when it is built.
    static let bundles = [
        "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Arch, Alpine
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, RHEL 7 and later
        "/etc/pki/tls/certs/ca-bundle.crt",  // older RHEL
        "/etc/ssl/ca-bundle.pem",  // SUSE
        "/var/lib/ca-certificates/ca-bundle.pem",  // openSUSE
        "/etc/ssl/cert.pem",  // Alpine, the BSDs
    ]

    /// Makes `context` believe the authorities of files; pins are checked elsewhere.
    func load(into context: OpaquePointer) throws(BerthError) {
        switch self {
        case .keys(let pins):
            guard !pins.isEmpty else { throw BerthError(.invalidValue, "no key is pinned") }
        case .authorities(let file):
            guard SSL_CTX_load_verify_locations(context, file, nil) == 1 else {
                throw Self.unusable(file, "name a PEM file of certificates")
            }
            // What the file names is trusted as it is, also a certificate that another authority signed.
            X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), UInt(X509_V_FLAG_PARTIAL_CHAIN))
        case .system: try Self.loadSystem(into: context)
        }
    }

    /// The variables are OpenSSL's own, and like there they stand in for what the system has.
    private static func loadSystem(into context: OpaquePointer) throws(BerthError) {
        let file = variable("SSL_CERT_FILE")
        let directory = variable("SSL_CERT_DIR")
        if file != nil || directory != nil {
            guard SSL_CTX_load_verify_locations(context, file, directory) == 1 else {
                throw unusable(
                    [file, directory].compactMap { $0 }.joined(separator: "' or '"),
                    "SSL_CERT_FILE names a PEM file, SSL_CERT_DIR directories made by 'openssl rehash'"
                )
            }
            return
        }
        for bundle in bundles where access(bundle, R_OK) == 0 {
            if SSL_CTX_load_verify_locations(context, bundle, nil) == 1 { return }
        }
        // Without a bundle some systems still have the hashed directory.
        guard access("/etc/ssl/certs", R_OK) == 0, SSL_CTX_load_verify_locations(context, nil, "/etc/ssl/certs") == 1
        else {
            throw BerthError(
                .certificate,
                "this machine has no certificate authorities: none of \(bundles.joined(separator: ", ")) is there",
                remedy: "install the package ca-certificates, or name a PEM file with SSL_CERT_FILE"
            )
        }
    }

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        return value.pointee == 0 ? nil : String(cString: value)
    }

    private static func unusable(_ path: String, _ remedy: String) -> BerthError {
        let known = TLSFailure.error("cannot use the certificate authorities in '\(path)'", code: .invalidValue)
        return BerthError(known.code, known.message, remedy: remedy)
    }
}
