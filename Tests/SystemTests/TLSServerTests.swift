import Base
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// The shipped server and CLI by TLS.
@Suite struct TLSServerTests {
    @Test func `the CLI runs, follows and fails by TLS, trusting a file, a pin or the server's own note`() async throws
    {
        try await TLSInstallation.with { tls in
            #expect(tls.url.hasPrefix("https://127.0.0.1:"))
            let script = "for i in 1 2 3; do echo line $i; done; exit 5"
            let near = try await tls.place.berth("exec", "--", "sh", "-c", script)
            #expect(near.status == 5, "\(near)")
            #expect(near.output == "line 1\nline 2\nline 3\n")
            let hashed = tls.place.directory.file("hashed")
            try await check(["mkdir", hashed])
            try await check(["cp", tls.certificate, hashed])
            try await check(["openssl", "rehash", hashed])
            for trust in [
                ["SSL_CERT_DIR": hashed],
                ["BERTH_CA_FILE": tls.certificate], ["BERTH_SERVER_PIN": tls.pin], ["SSL_CERT_FILE": tls.certificate],
            ] {
                let far = try await tls.remote("exec", "--", "sh", "-c", script, trusting: trust)
                #expect(far.status == 5, "\(trust): \(far)")
                #expect(far.output == "line 1\nline 2\nline 3\n")
            }
            let stranger = try await tls.remote("ls", trusting: [:])
            #expect(stranger.status == 77)
            #expect(stranger.errors.contains("the certificate of '127.0.0.1' is self-signed"))
            #expect(stranger.errors.contains(tls.pin) && stranger.errors.contains("BERTH_SERVER_PIN"))
            let wrong = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
            let deceived = try await tls.remote("ls", trusting: ["BERTH_SERVER_PIN": wrong])
            #expect(deceived.status == 77)
            #expect(deceived.errors.contains("has another key than the one pinned: \(tls.pin)"))
            let named = "https://localhost:\(tls.port)"
            let misnamed = try await tls.remote(
                "ls",
                trusting: ["BERTH_URL": named, "BERTH_CA_FILE": tls.certificate]
            )
            #expect(misnamed.status == 77)
            #expect(misnamed.errors.contains("is for '127.0.0.1', not for 'localhost'"))
            let nowhere = try await tls.remote("ls", trusting: ["BERTH_URL": "https://no-such-host.invalid"])
            #expect(nowhere.status == 69)
            #expect(nowhere.errors.contains("cannot look up the host 'no-such-host.invalid'"))
            let malformed = try await tls.remote("ls", trusting: ["BERTH_SERVER_PIN": "x"])
            #expect(malformed.status == 64)
            #expect(malformed.errors.contains("serverPin"))
            let plain = try await TestSupport.run(["curl", "-s", "http://127.0.0.1:\(tls.port)/healthz"])
            #expect(plain.output.contains("this port speaks TLS"))
            _ = try await tls.server.line(containing: "plain_http_on_tls_port", on: .stderr)
        }
    }

    @Test func `a new certificate is taken without a restart, an unusable one is not`() async throws {
        try await TLSInstallation.with { tls in
            let folder = tls.place.directory.path
            let processes = tls.server.pid
            try await TLSInstallation.makeCertificate(in: folder)
            let loaded = try await tls.server.line(containing: "certificate loaded", on: .stderr)
            #expect(!loaded.contains(tls.pin))
            let near = try await tls.place.berth("ls")
            #expect(near.status == 0, "\(near)")
            let old = try await tls.remote("ls", trusting: ["BERTH_SERVER_PIN": tls.pin])
            #expect(old.status == 77)
            let new = try await tls.remote("ls", trusting: ["BERTH_CA_FILE": tls.certificate])
            #expect(new.status == 0, "\(new)")

            try tls.place.directory.write("not a key", to: "key.pem")
            let kept = try await tls.server.line(containing: "certificate not loaded", on: .stderr)
            #expect(kept.contains("holds no private key"))
            let still = try await tls.remote("ls", trusting: ["BERTH_CA_FILE": tls.certificate])
            #expect(still.status == 0, "\(still)")
            #expect(kill(processes, 0) == 0)
        }
    }

    @Test func `SIGHUP has the files looked at, where no change of their directory tells`() async throws {
        let place = try Installation()
        let folder = place.directory.path
        for name in ["one", "two"] {
            try await check(["mkdir", "\(folder)/\(name)"])
            try await TLSInstallation.makeCertificate(in: "\(folder)/\(name)")
        }
        try await check(["ln", "-s", "one", "\(folder)/current"])
        let flags = [
            "--tls-certificate", "\(folder)/current/certificate.pem", "--tls-key", "\(folder)/current/key.pem",
        ]
        try await withServer(place, flags: flags) { place, server in
            try await check(["ln", "-sfn", "two", "\(folder)/current"])
            // The watch begins a moment after the server answers, and a signal before it would be its end.
            let first = try await place.berth("ls")
            #expect(first.status == 0, "\(first)")
            server.signal(1)
            _ = try await server.line(containing: "certificate loaded", on: .stderr)
            let second = try await place.berth("ls")
            #expect(second.status == 0, "\(second)")
        }
    }

    @Test func `a certificate near its end is warned of in the log, the metrics and by doctor`() async throws {
        try await TLSInstallation.with(days: 5) { tls in
            _ = try await tls.server.line(containing: "the certificate expires soon", on: .stderr)
            let metrics = try await check([
                "curl", "-s", "--cacert", tls.certificate, "-H", "Authorization: Bearer \(try tls.apiKey)",
                tls.url + "/metrics",
            ])
            let line = metrics.split(separator: "\n").first { $0.hasPrefix("berth_tls_certificate_expires_seconds ") }
            let seconds = try #require(line?.split(separator: " ").last.flatMap { Int($0) })
            #expect((4 * 86400...5 * 86400).contains(seconds))
            let doctor = try await tls.place.berth(
                "doctor",
                "--tls-certificate",
                tls.certificate,
                "--tls-key",
                tls.key
            )
            #expect(doctor.output.contains("expires in 4 days: for 127.0.0.1"))
            #expect(doctor.output.contains(tls.pin))
        }
    }
}
