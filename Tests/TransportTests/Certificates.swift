import OpenSSL
import TestSupport
import Testing

/// Certificates made by the openssl program, in a directory of their own.
final class Certificates: Sendable {
    let directory: TemporaryDirectory

    enum Kind: String, CaseIterable { case ecdsa, rsa }

    private init() throws { directory = try TemporaryDirectory("certificates") }

    /// An authority (`ca.pem`) and a server's certificate of it for `localhost` and 127.0.0.1, good for two days.
    static func made(_ kind: Kind = .ecdsa) async throws -> Certificates {
        let made = try Certificates()
        try await made.authority("ca")
        try await made.server("server", by: "ca", kind: kind)
        return made
    }

    func file(_ name: String) -> String { directory.file(name) }

    static func key(_ kind: Kind) -> [String] {
        switch kind {
        case .ecdsa: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        case .rsa: ["-newkey", "rsa:2048", "-nodes"]
        }
    }

    /// Makes `NAME.key` and `NAME.pem`, an authority; one of another's when `by` names it.
    func authority(_ name: String, by parent: String? = nil) async throws {
        try await sign(name, by: parent, kind: .ecdsa, extensions: "basicConstraints=critical,CA:TRUE")
    }

    /// Makes `NAME.key` and `NAME.pem` for a server.
    /// - Parameters:
    ///   - authority: whose key signs it; nil: its own.
    ///   - valid: in days from now; a negative end lies in the past.
    func server(
        _ name: String,
        by authority: String?,
        kind: Kind = .ecdsa,
        names: String = "DNS:localhost,IP:127.0.0.1",
        valid: ClosedRange<Int> = -1...2
    ) async throws {
        try await sign(name, by: authority, kind: kind, extensions: "subjectAltName=\(names)", valid: valid)
    }

    private func sign(
        _ name: String,
        by authority: String?,
        kind: Kind,
        extensions: String,
        valid: ClosedRange<Int> = -1...2
    ) async throws {
        try await check(
            ["openssl", "req", "-new", "-subj", "/CN=\(name)", "-keyout", file("\(name).key"), "-out", file("csr")]
                + Self.key(kind)
        )
        // `openssl ca` alone sets both dates.
        let signer = authority ?? name
        try directory.write("", to: "index")
        try directory.write(
            """
            [ca]
            default_ca = it
            [it]
            database = \(file("index"))
            new_certs_dir = \(directory.path)
            rand_serial = yes
            default_md = sha256
            policy = any
            unique_subject = no
            [any]
            commonName = supplied
            [extensions]
            \(extensions)
            """,
            to: "configuration"
        )
        let issuer =
            authority == nil ? ["-selfsign"] : ["-cert", file("\(signer).pem")]
        try await check(
            [
                "openssl", "ca", "-batch", "-notext", "-config", file("configuration"), "-extensions", "extensions",
                "-in", file("csr"), "-out", file("\(name).pem"), "-keyfile", file("\(signer).key"),
                "-startdate", try await date(valid.lowerBound), "-enddate", try await date(valid.upperBound),
            ] + issuer
        )
    }

    private func date(_ days: Int) async throws -> String {
        try await check(["date", "-u", "-d", "\(days) days", "+%Y%m%d%H%M%SZ"])
    }

    /// As the openssl program computes it.
    func pin(of name: String) async throws -> KeyPin {
        let text = try await check([
            "sh", "-c",
            "openssl x509 -in '\(file("\(name).pem"))' -noout -pubkey | openssl pkey -pubin -outform DER "
                + "| openssl dgst -sha256 -binary | base64",
        ])
        return try KeyPin("sha256/" + text)
    }
}
