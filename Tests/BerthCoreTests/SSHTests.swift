import Base
import BerthCore
import Domain
import FoundationEssentials
import TestSupport
import Testing

@Suite struct SSHTests {
    /// A place with a remote and a real sshd before it.
    private static func place() async throws -> (GitFixture, SSHServer, url: String) {
        let place = try GitFixture()
        let remote = try await place.remote()
        let server = try await SSHServer(in: place.directory.file("sshd"))
        return (place, server, server.url(remote))
    }

    private static func identity(_ file: String?, knownHosts: String? = nil) -> SSHIdentity {
        SSHIdentity(privateKey: file.map { Secret(text(of: $0)) }, knownHosts: knownHosts)
    }

    @Test func `a key clones and pushes, and is gone with the operation`() async throws {
        let (place, server, url) = try await Self.place()
        let secret = text(of: server.clientKey).split(separator: "\n")[2]
        try await place.withSSH(url, Self.identity(server.clientKey)) { mirror in
            let checkout = try await place.maker.make(place.request(url), from: mirror)
            #expect(text(of: checkout.path + "/README.md") == "two\n")
            try place.directory.write("new\n", to: "workspaces/project/new.txt")
            let outcome = try await place.maker.result(of: checkout, commitLeftovers: true, task: "Add new")
            try await mirror.push(try #require(outcome.headCommit), of: checkout.path, as: "berth/task")
            let pushed = try await place.run("rev-parse", "berth/task", in: place.directory.file("remotes/project.git"))
            #expect(pushed == outcome.headCommit)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.directory.file("run")) == [])
        for command in place.runner.commands {
            #expect(!command.arguments.joined(separator: " ").contains(secret))
            #expect(!command.environment.values.contains { $0.contains(secret) })
        }
        let places = ["workspaces", "cache", "home", "run"].map(place.directory.file)
        #expect(try await run(["grep", "-rlF", String(secret)] + places).output == "")
    }

    @Test func `a wrong key and none at all are told apart`() async throws {
        let (place, server, url) = try await Self.place()
        for (key, words, remedy) in [
            (server.strangerKey, "refused the given key", "registered there"),
            (nil, "none was given", "--ssh-key"),
        ] {
            let error = await #expect(throws: BerthError.self) {
                try await place.withSSH(url, Self.identity(key)) { _ = try await $0.offer() }
            }
            #expect(error?.code == .repositoryCredentials)
            #expect(error?.message.contains(words) == true)
            #expect(error?.remedy?.contains(remedy) == true)
        }
    }

    @Test func `what is no key is told by its own name`() async throws {
        let (place, server, url) = try await Self.place()
        let error = await #expect(throws: BerthError.self) {
            try await place.withSSH(url, SSHIdentity(privateKey: Secret("no key"))) { _ = try await $0.offer() }
        }
        try await server.stop()
        #expect(error?.code == .repositoryCredentials)
        #expect(error?.message.contains("cannot read the private key") == true, "\(error?.detail ?? "")")
    }

    @Test func `a host's first key is kept, and another one later is refused until it is given`() async throws {
        let (place, server, url) = try await Self.place()
        try await place.withSSH(url, Self.identity(server.clientKey)) { _ = try await $0.offer() }
        #expect(text(of: place.git.configuration.knownHostsFile).contains("127.0.0.1"))
        let port = server.port
        try await server.stop()
        let other = try await SSHServer(in: place.directory.file("sshd"), port: port, renewing: true)
        let error = await #expect(throws: BerthError.self) {
            try await place.withSSH(url, Self.identity(other.clientKey)) { _ = try await $0.offer() }
        }
        #expect(error?.code == .hostKey)
        #expect(error?.remedy?.contains("--known-hosts") == true)
        let given = Self.identity(other.clientKey, knownHosts: other.knownHost)
        try await place.withSSH(url, given) { _ = try await $0.offer() }
    }

    @Test func `with known hosts given no other host is taken at its word`() async throws {
        let (place, server, url) = try await Self.place()
        let identity = Self.identity(server.clientKey, knownHosts: "example.org ssh-ed25519 AAAA\n")
        let error = await #expect(throws: BerthError.self) {
            try await place.withSSH(url, identity) { _ = try await $0.offer() }
        }
        #expect(error?.code == .hostKey)
        #expect(text(of: place.git.configuration.knownHostsFile) == "")
    }

    @Test func `an ssh host that is not there cannot be reached`() async throws {
        let place = try GitFixture()
        let url = "ssh://git@127.0.0.1:1/x.git"
        let error = await #expect(throws: BerthError.self) {
            try await place.withSSH(url, SSHIdentity(privateKey: nil)) { _ = try await $0.offer() }
        }
        #expect(error?.code == .repositoryUnreachable)
        #expect(error?.message.contains("Connection refused") == true, "\(error?.message ?? "")")
    }

    @Test func `keys that a killed worker left behind are swept`() async throws {
        let place = try GitFixture()
        try place.directory.write("key", to: "run/ssh-left")
        try place.directory.write("kept", to: "run/other")
        SSHIdentity.sweep(place.directory.file("run"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: place.directory.file("run")) == ["other"])
    }
}

extension GitFixture {
    fileprivate func withSSH(_ url: String, _ identity: SSHIdentity, _ body: (Mirror) async throws -> Void) async throws
    {
        try await identity.withAccess(
            directory: directory.file("run"),
            name: "key",
            keptHosts: git.configuration.knownHostsFile
        ) { access in
            try await body(Mirror(url: try GitURL(url), account: "test", git: git, access: access))
        }
    }
}
