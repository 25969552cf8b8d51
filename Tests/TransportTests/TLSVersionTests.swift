import Base
import EventLoop
import OpenSSL
import TestSupport
import Testing

@testable import Transport

/// What versions, ciphers and protocols are agreed on, with the openssl program at the other end.
@Suite struct TLSVersionTests {
    /// What `openssl s_client` says of a connection to `address`.
    private func agreed(_ address: SocketAddress, _ options: [String]) async throws -> CommandResult {
        try await TestSupport.run(["openssl", "s_client", "-connect", "\(address)"] + options)
    }

    @Test func `TLS 1.2 and 1.3 are spoken with http 1.1, older ones are not`() async throws {
        let certificates = try await Certificates.made()
        try await withTLS(certificates, trust: .system) { _, address in
            for version in ["-tls1_2", "-tls1_3"] {
                let result = try await agreed(address, [version, "-alpn", "h2,http/1.1"])
                #expect(result.status == 0, "\(result)")
                #expect(result.output.contains("ALPN protocol: http/1.1"), "\(result)")
            }
            for version in ["-tls1", "-tls1_1"] {
                let result = try await agreed(address, [version, "-cipher", "ALL:@SECLEVEL=0"])
                #expect(result.status != 0, "\(result)")
            }
        }
    }

    @Test func `only ciphers with forward secrecy and authentication are taken, and no ticket is given`() async throws {
        let certificates = try await Certificates.made(.rsa)
        try await withTLS(certificates, trust: .system) { _, address in
            for cipher in ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "NULL"] {
                let result = try await agreed(address, ["-tls1_2", "-cipher", "\(cipher):@SECLEVEL=0"])
                #expect(result.status != 0, "\(cipher): \(result)")
            }
            for cipher in ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"] {
                let result = try await agreed(address, ["-tls1_2", "-cipher", cipher])
                #expect(result.status == 0, "\(cipher): \(result)")
            }
            let long = try await TestSupport.run(["openssl", "s_client", "-connect", "\(address)", "-tls1_2"])
            #expect(!long.output.contains("TLS session ticket"))
        }
    }

    @Test func `a server that knows nothing newer than TLS 1.1 is refused for that`() async throws {
        let certificates = try await Certificates.made(.rsa)
        let server = try ChildProcess([
            "openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-www",
            "-cert", certificates.file("server.pem"), "-key", certificates.file("server.key"),
        ])
        let line = try await server.line(containing: "ACCEPT 127.0.0.1:")
        let port = try #require(line.split(separator: ":").last)
        try await withLoop { loop in
            var configuration = HTTPClientConfiguration()
            configuration.trust = .authorities(file: certificates.file("ca.pem"))
            let client = HTTPClient(loop: loop, configuration: configuration)
            let error = try await failure(of: client, "https://localhost:\(port)/")
            #expect(error.message == "'localhost' speaks no TLS newer than 1.1, which is not safe")
        }
        server.signal(15)
        _ = try await server.exit()
    }

    @Test func `a foreign TLS server is understood, by name and with its own end of the connection`() async throws {
        let certificates = try await Certificates.made()
        let server = try ChildProcess([
            "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-tls1_3",
            "-cert", certificates.file("server.pem"), "-key", certificates.file("server.key"),
        ])
        let line = try await server.line(containing: "ACCEPT 127.0.0.1:")
        let port = try #require(line.split(separator: ":").last)
        try await withLoop { loop in
            var configuration = HTTPClientConfiguration()
            configuration.trust = .authorities(file: certificates.file("ca.pem"))
            let client = HTTPClient(loop: loop, configuration: configuration)
            let answer = try await client.fetch(.init(.get, HTTPURL("https://localhost:\(port)/")))
            #expect(answer.status == 200)
            #expect(String(decoding: answer.body, as: UTF8.self).contains("TLSv1.3"))
        }
        server.signal(15)
        _ = try await server.exit()
    }
}
