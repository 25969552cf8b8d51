import API
import Base
import Client
import TestSupport
import Testing

@Suite struct TLSTests {
    @Test func `with a certificate the server speaks TLS, and only who trusts it is answered`() async throws {
        let folder = try TemporaryDirectory("tls")
        let (certificate, key) = (folder.file("certificate.pem"), folder.file("key.pem"))
        try await check([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=berth", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
        ])
        try await RunningServer.with(settings: ["tlsCertificate": certificate, "tlsKey": key]) { server in
            #expect(server.url.hasPrefix("https://127.0.0.1:"))
            let who: WhoAmI = try await server.client.call(.whoAmI)
            #expect(who.role == "owner")
            let stranger = try BerthClient(url: server.url, key: server.key, loop: server.loop)
            await #expect(throws: BerthError.self) {
                let _: WhoAmI = try await stranger.call(.whoAmI)
            }
        }
    }
}
