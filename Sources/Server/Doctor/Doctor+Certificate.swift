import Base
import Glibc
import OpenSSL

extension Doctor {
    /// The server's certificate and key, where they are configured.
    static func certificate(_ configuration: Configuration, now: Timestamp) -> [Finding] {
        guard let file = configuration.text("tlsCertificate"), let key = configuration.text("tlsKey") else { return [] }
        let certificate: TLSCertificate
        do {
            certificate = try TLSIdentity(certificateFile: file, keyFile: key).certificate
        } catch {
            let known = BerthError(wrapping: error)
            return [Finding("TLS certificate", .bad, known.message, remedy: known.remedy)]
        }
        let names = certificate.names.isEmpty ? "no name at all" : certificate.names.joined(separator: ", ")
        let left = certificate.notAfter - now
        let text = "for \(names), until \(certificate.notAfter), key \(certificate.pin)"
        var findings: [Finding] = []
        if now < certificate.notBefore || left <= .zero {
            findings.append(
                Finding(
                    "TLS certificate",
                    .bad,
                    (left <= .zero ? "expired: " : "valid only from \(certificate.notBefore) on: ") + text,
                    remedy: "put a new one in \(file); a running server takes it by itself"
                )
            )
        } else if left < CertificateKeeper.notice {
            findings.append(
                Finding(
                    "TLS certificate",
                    .limited,
                    "expires in \(left.wholeMilliseconds / 86_400_000) days: " + text,
                    remedy: "renew it; a running server takes the new files by itself"
                )
            )
        } else {
            findings.append(Finding("TLS certificate", .good, text))
        }
        var status = stat()
        if stat(key, &status) == 0, status.st_mode & 0o077 != 0 {
            findings.append(
                Finding("TLS key", .limited, "\(key) can be read by others", remedy: "chmod 600 \(key)")
            )
        }
        return findings
    }
}
