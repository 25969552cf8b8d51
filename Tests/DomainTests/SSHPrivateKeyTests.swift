import Base
import Domain
import TestSupport
import Testing

@Suite struct SSHPrivateKeyTests {
    private static func key(_ arguments: String...) async throws -> String {
        let directory = try TemporaryDirectory("key")
        let file = directory.file("key")
        try await check(["ssh-keygen", "-q", "-f", file] + arguments)
        return try await check(["cat", file])
    }

    @Test(arguments: ["ed25519", "ecdsa", "rsa"]) func `keys without a passphrase are taken`(kind: String) async throws
    {
        try SSHPrivateKey.validate(try await Self.key("-t", kind, "-N", "") + "\n", field: "key")
        try SSHPrivateKey.validate(try await Self.key("-t", "rsa", "-m", "PEM", "-N", ""), field: "key")
    }

    @Test func `keys with a passphrase are refused with the way out`() async throws {
        for text in [
            try await Self.key("-t", "ed25519", "-N", "secret"),
            try await Self.key("-t", "rsa", "-m", "PEM", "-N", "secret"),
            try await Self.key("-t", "ecdsa", "-m", "PKCS8", "-N", "secret"),
        ] {
            let error = #expect(throws: BerthError.self) { try SSHPrivateKey.validate(text, field: "--ssh-key") }
            #expect(error?.field == "--ssh-key")
            #expect(error?.message.contains("passphrase") == true)
        }
    }

    @Test(arguments: ["", "x", "ssh-ed25519 AAAA me", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"])
    func `what is no private key is refused without being repeated`(text: String) {
        let error = #expect(throws: BerthError.self) { try SSHPrivateKey.validate(text, field: "key") }
        #expect(error?.code == .invalidValue)
        if text.hasPrefix("ssh-") { #expect(error?.message.contains("public half") == true) }
    }

    @Test func `a local repository has its name for people and no path`() throws {
        let url = try RepositoryURL("local:my.App-0123456789ab")
        #expect(url.isLocal && !url.isSSH)
        #expect(url.name == "my.App")
        #expect(try RepositoryURL("git@host:a/b.git").isSSH)
        #expect(try RepositoryURL("ssh://host/a").isSSH)
        #expect(try !RepositoryURL("https://host/a").isSSH)
        for text in ["local:", "local:a/b", "local:a b", "local:ä"] {
            #expect(throws: BerthError.self) { try RepositoryURL(text) }
        }
    }
}
