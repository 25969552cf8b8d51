import Base
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// Where the shipped server listens, and how its CLI gets there.
@Suite struct ListenTests {
    private func end(_ server: ChildProcess) async throws {
        server.signal(15)
        #expect(try await server.exit(within: .seconds(20)) == 0)
    }

    @Test func `the CLI reaches a server that listens on a unix socket alone, and nobody else may`() async throws {
        let installation = try Installation()
        let path = installation.directory.file("berth.sock")
        let server = try await installation.serve(listen: "unix:\(path)")
        #expect(try await installation.berth("ls").status == 0)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        // The address may also be given, with the key, from anywhere.
        let key = try String(contentsOf: URL(filePath: installation.data + "/api-key"), encoding: .utf8).trimmed
        let elsewhere = try Installation()
        let variables = ["BERTH_SERVER": "unix:\(path)", "BERTH_API_KEY": key]
        let listing = try await elsewhere.berth("env", "ls", "--json", variables: variables)
        #expect(listing.status == 0, "\(listing.errors)")
        try await end(server)
        #expect(access(path, F_OK) != 0)
    }

    @Test(arguments: ["[::1]:0", "[::]:0"])
    func `the CLI reaches a server over IPv6`(listen: String) async throws {
        let installation = try Installation()
        let server = try await installation.serve(listen: listen)
        let listing = try await installation.berth("ls")
        #expect(listing.status == 0, "\(listing.errors)")
        try await end(server)
    }

    @Test func `an address that cannot be is an error that says how to write one`() async throws {
        let installation = try Installation()
        let result = try await installation.berth("serve", "--listen", "unix:relative", within: .seconds(20))
        #expect(result.status == 64 && result.errors.contains("listen") && result.errors.contains("unix:/run"))
    }

    @Test func `a name is listened on at all its addresses, on one port`() async throws {
        let installation = try Installation()
        let server = try await installation.serve(listen: "berth.localhost:0")
        let line = try await server.line(containing: #""message":"listening""#, on: .stderr)
        let port = try #require(line.split(separator: ":").last?.prefix { $0.isNumber })
        for host in ["127.0.0.1", "[::1]"] {
            #expect(try await check(["curl", "-s", "http://\(host):\(port)/healthz"]).contains("ok"))
        }
        try await end(server)
    }

    @Test func `an address of another machine is refused by name`() async throws {
        let installation = try Installation()
        let result = try await installation.berth("serve", "--listen", "192.0.2.1:0", within: .seconds(20))
        #expect(result.status == 64 && result.errors.contains("192.0.2.1"), "\(result)")
        #expect(result.errors.contains("this machine has no such address"))
    }

    @Test func `SIGHUP does not end a server that no terminal started`() async throws {
        let installation = try Installation()
        let server = try await installation.serve(listen: "127.0.0.1:0")
        server.signal(SIGHUP)
        #expect(try await installation.berth("ls").status == 0)
        try await end(server)
    }
}
