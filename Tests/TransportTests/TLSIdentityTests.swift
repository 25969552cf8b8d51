import Base
import EventLoop
import OpenSSL
import TestSupport
import Testing

@testable import Transport

/// A server's certificate and its replacement while it runs.
@Suite struct TLSIdentityTests {
    @Test func `new connections get the new certificate, old ones go on`() async throws {
        let certificates = try await Certificates.made()
        let first = try await certificates.pin(of: "server")
        let identity = try TLSIdentity(
            certificateFile: certificates.file("server.pem"),
            keyFile: certificates.file("server.key")
        )
        #expect(identity.certificate.pin == first)
        var configuration = HTTPServerConfiguration()
        configuration.tls = identity
        try await withServer(configuration: configuration, handler: TLSTests.handler) { server, loop, address in
            let url = try HTTPURL("https://localhost:\(address.port)/")
            var trust = HTTPClientConfiguration()
            trust.trust = .keys([first])
            let early = HTTPClient(loop: loop, configuration: trust)
            _ = try await early.fetch(.init(.get, url))
            #expect(try !identity.reload())

            try await certificates.server("server", by: "ca", kind: .rsa)
            #expect(try identity.reload())
            let second = try await certificates.pin(of: "server")
            #expect(second != first)
            _ = try await early.fetch(.init(.get, url))
            #expect(server.connectionCount == 1)
            trust.trust = .keys([second])
            let late = HTTPClient(loop: loop, configuration: trust)
            _ = try await late.fetch(.init(.get, url))
            trust.trust = .keys([first])
            let stranger = HTTPClient(loop: loop, configuration: trust)
            #expect(try await failure(of: stranger, "https://localhost:\(address.port)/").code == .certificate)
        }
    }

    @Test func `a pair that cannot be used keeps the old one and says why`() async throws {
        let certificates = try await Certificates.made()
        let pin = try await certificates.pin(of: "server")
        let (certificate, key) = (certificates.file("server.pem"), certificates.file("server.key"))
        let identity = try TLSIdentity(certificateFile: certificate, keyFile: key)
        let good = (try await check(["cat", certificate]), try await check(["cat", key]))
        try await check(["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", key + ".locked"])
        let locked = try await check(["cat", key + ".locked"])
        try await certificates.server("other", by: "ca")
        let other = try await check(["cat", certificates.file("other.pem")])

        let cases: [(certificate: String?, key: String?, says: String)] = [
            ("", good.1, "holds no certificate"),
            (String(good.0.prefix(good.0.count / 2)), good.1, "holds no certificate"),
            (good.0 + "\n" + other.prefix(300), good.1, "is damaged"),
            (other, good.1, "does not belong to the certificate"),
            (good.0, "", "holds no private key that can be used"),
            (good.0, String(good.1.prefix(80)), "holds no private key that can be used"),
            (good.0, locked, "is encrypted with a passphrase"),
            (nil, good.1, "cannot be read"),
            (good.0, nil, "cannot be read"),
        ]
        for entry in cases {
            for (name, text) in [("server.pem", entry.certificate), ("server.key", entry.key)] {
                try await check(["rm", "-f", certificates.file(name)])
                if let text { try certificates.directory.write(text, to: name) }
            }
            #expect {
                _ = try identity.reload()
            } throws: {
                "\($0)".contains(entry.says)
            }
            #expect(identity.certificate.pin == pin)
        }
        try await check(["rm", "-f", certificate, key])
        // The whole pair in one file is a pair, too.
        try certificates.directory.write(good.0 + "\n" + good.1, to: "both.pem")
        let both = certificates.file("both.pem")
        #expect(try TLSIdentity(certificateFile: both, keyFile: both).certificate.pin == pin)
    }

    @Test func `a certificate tells its names and dates`() async throws {
        let certificates = try await Certificates.made()
        let names = "DNS:*.example.com,DNS:a.example,IP:10.1.2.3,IP:2001:db8::1"
        try await certificates.server("many", by: "ca", names: names, valid: -3...11)
        let certificate = try TLSIdentity(
            certificateFile: certificates.file("many.pem"),
            keyFile: certificates.file("many.key")
        ).certificate
        #expect(certificate.subject == "many")
        #expect(certificate.issuer == "ca")
        #expect(certificate.names == ["*.example.com", "a.example", "10.1.2.3", "2001:db8::1"])
        // Whoever makes it looks at the clock twice.
        let life = certificate.notAfter - certificate.notBefore
        #expect((Duration.seconds(14 * 86400)...Duration.seconds(14 * 86400 + 60)).contains(life), "\(life)")
    }
}
