internal import Base
internal import COpenSSL

/// Why a certificate is not accepted, noted while OpenSSL looks at it.
struct TLSRefusal {
    /// X509_V_ERR_…
    let code: CInt
    /// The one at fault: the server's own, or one of its chain.
    let certificate: TLSCertificate
    let isOwn: Bool
}

extension TLSContext {
    /// Has OpenSSL check names, dates and signatures, or only the key where keys are pinned. In both cases the server
    /// hears of a refusal by an alert, before anything was sent.
    func verifyPeers() {
        if !pins.isEmpty {
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
            SSL_CTX_set_cert_verify_callback(
                context,
                { check, _ in
                    guard let check, let session = TLSSession.of(check) else { return 0 }
                    guard let shown = X509_STORE_CTX_get0_cert(check) else { return 0 }
                    let certificate = TLSCertificate(shown)
                    if session.isPinned(certificate.pin) { return 1 }
                    X509_STORE_CTX_set_error(check, X509_V_ERR_APPLICATION_VERIFICATION)
                    session.refusal = TLSRefusal(
                        code: X509_V_ERR_APPLICATION_VERIFICATION,
                        certificate: certificate,
                        isOwn: true
                    )
                    return 0
                },
                nil
            )
            return
        }
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER) { isGood, check in
            guard isGood == 0, let check, let session = TLSSession.of(check), session.refusal == nil else {
                return isGood
            }
            if let shown = X509_STORE_CTX_get_current_cert(check) {
                session.refusal = TLSRefusal(
                    code: X509_STORE_CTX_get_error(check),
                    certificate: TLSCertificate(shown),
                    isOwn: X509_STORE_CTX_get_error_depth(check) == 0
                )
            }
            return 0
        }
    }
}

extension TLSRefusal {
    /// What is wrong, and the way out.
    func error(server: String, now: Timestamp) -> BerthError {
        let whose = isOwn ? "the certificate of '\(server)'" : "'\(certificate.subject)' above '\(server)'"
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return Self.refused(
                "\(whose) expired on \(certificate.notAfter) (\(Self.days(now - certificate.notAfter)) ago)",
                "whoever runs the server must renew it; if this machine's clock (\(now)) is wrong, set it"
            )
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return Self.refused(
                "\(whose) is valid only from \(certificate.notBefore) on (in \(Self.days(certificate.notBefore - now)))",
                "if this machine's clock (\(now)) is wrong, set it"
            )
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            let names = certificate.names.isEmpty ? ["no name at all"] : certificate.names.prefix(5).map { "'\($0)'" }
            return Self.refused(
                "the certificate that '\(server)' shows is for \(names.joined(separator: ", ")), not for '\(server)'",
                "use a name that it is for, or have the server's certificate made for this one (subjectAltName)"
            )
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
            return Self.refused(
                "\(whose) is self-signed and not among those trusted here",
                trustRemedy
            )
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            let issuer = certificate.issuer
            return Self.refused("\(whose) comes from '\(issuer)', an authority not trusted here", trustRemedy)
        case X509_V_ERR_APPLICATION_VERIFICATION:
            return Self.refused(
                "'\(server)' has another key than the one pinned: \(certificate.pin)",
                "if the server's key was changed on purpose, pin the new one; if not, somebody is in between"
            )
        default:
            return Self.refused(
                "\(whose) is not accepted: " + String(cString: X509_verify_cert_error_string(Int(code))),
                "ask whoever runs the server"
            )
        }
    }

    private var trustRemedy: String {
        isOwn
            ? "if this is your server, name a PEM file of its authority (caFile) or pin its key: \(certificate.pin)"
            : "if this is your server, name a PEM file of its authority (caFile) or pin the server's key"
    }

    private static func refused(_ message: String, _ remedy: String) -> BerthError {
        BerthError(.certificate, message, remedy: remedy)
    }

    private static func days(_ duration: Duration) -> String {
        let hours = duration.wholeMilliseconds / 3_600_000
        return hours < 48 ? "\(hours) h" : "\(hours / 24) days"
    }
}
