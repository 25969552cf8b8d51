import Base
import Domain
import Testing
import Transport

@testable import Server

@Suite struct ConfigurationTests {
    private func make(_ file: String? = nil, _ environment: [String: String] = [:], _ flags: [String: String] = [:])
        throws(BerthError) -> Configuration
    {
        try Configuration(
            file: file.map { (Array($0.utf8), "berth.json5") },
            environment: ["HOME": "/home/me"].merging(environment) { _, new in new },
            flags: flags
        )
    }

    @Test func `flags win over the environment, which wins over the file, which wins over defaults`() throws {
        let file = "{ // comments are fine\n listen: '127.0.0.1:1', drainMs: 5, logLevel: 'debug', }"
        #expect(try make().text("listen") == "127.0.0.1:7410")
        #expect(try make(file).text("listen") == "127.0.0.1:1")
        #expect(try make(file, ["BERTH_LISTEN": "127.0.0.1:2"]).text("listen") == "127.0.0.1:2")
        let all = try make(file, ["BERTH_LISTEN": "127.0.0.1:2"], ["listen": "[::1]:3"])
        #expect(try all.listenAddresses() == [.tcp(host: "::1", port: 3)])
        #expect(all.source(of: "listen") == "flag")
        #expect(all.source(of: "drainMs") == "berth.json5")
    }

    @Test(arguments: [
        ("MASTER_KEY", "masterKey"), ("CLAUDE_TOKEN", "claudeToken"), ("WORKER_TOKEN", "workerToken"),
        ("WORKER_ID", "workerId"), ("ORCHESTRATOR_URL", "server"),
    ])
    func `the documents' own names are accepted`(variable: String, name: String) throws {
        #expect(try make(nil, [variable: "v"]).text(name) == "v")
    }

    @Test func `the documents' values are checked like any`() throws {
        #expect(try make(nil, ["WS_PORT": "8443"]).text("workerPort") == "8443")
        #expect(throws: BerthError.self) { try make(nil, ["WS_PORT": "eighty"]) }
        #expect(throws: BerthError.self) { try make(nil, ["EXECUTION_MODE": "elsewhere"]) }
        #expect(throws: BerthError.self) { try make("{listn: 'x'}") }
        #expect(throws: BerthError.self) { try make("[]") }
        #expect(throws: BerthError.self) { try make(nil, [:], ["tlsKey": "/k"]) }
    }

    @Test func `what waits is named by provider, size and image`() throws {
        let pool = try make(nil, ["BERTH_WARM_POOL": "docker/pro@registry.example:5000/team/image:1=3, microvm=1"])
            .warmPool
        #expect(pool.map(\.provider) == [.docker, .microvm])
        #expect(pool.map(\.flavour?.name) == ["pro", nil])
        #expect(pool.map(\.image) == ["registry.example:5000/team/image:1", nil])
        #expect(pool.map(\.count) == [3, 1])
        for wrong in ["docker", "docker/huge=1", "=1", "docker@=1", "docker=many", "a/b/c=1"] {
            let error = #expect(throws: BerthError.self) { try make(nil, ["BERTH_WARM_POOL": wrong]).warmPool }
            #expect(error?.field == "warmPool", "\(wrong)")
        }
    }

    @Test func `secrets are never shown`() throws {
        let configuration = try make(nil, ["MASTER_KEY": "topsecret", "CLAUDE_TOKEN": "topsecret"])
        for row in configuration.rows() { #expect(row.value?.contains("topsecret") != true, "\(row.key.name)") }
    }

    @Test func `the data directory follows the user's`() throws {
        #expect(try make().dataDirectory == "/home/me/.local/share/berth")
        #expect(try make(nil, ["XDG_DATA_HOME": "/x"]).dataDirectory == "/x/berth")
        #expect(try make(nil, ["BERTH_DATA": "/y"]).dataDirectory == "/y")
    }

    @Test func `a server listens on as many addresses as are named`() throws {
        let several = try make(nil, [:], ["listen": "127.0.0.1:1, [::]:2,unix:/run/berth.sock,:4"])
        #expect(
            try several.listenAddresses() == [
                .tcp(host: "127.0.0.1", port: 1), .tcp(host: "::", port: 2),
                .unix(path: "/run/berth.sock", mode: 0o600), .tcp(host: "0.0.0.0", port: 4),
            ]
        )
    }

    @Test(arguments: ["", ",", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "::1:80", "unix:here", "a:1,a:1"])
    func `an address that cannot be is refused by its setting`(listen: String) throws {
        let configuration = try make(nil, [:], ["listen": listen])
        #expect {
            _ = try configuration.listenAddresses()
        } throws: {
            ($0 as? BerthError)?.field == "listen"
        }
    }

    @Test func `limits and deadlines are settings with ranges`() throws {
        let standard = try make().limits()
        #expect(standard.maximumConnectionsPerClient == 512 && standard.headTimeout == .seconds(10))
        #expect(standard.trustedProxies.isEmpty && standard.compresses)
        let own = try make(
            "{headTimeoutMs: 500, maxHeaders: 20, compress: false, minProgressBytes: 1, proxyHeader: 'forwarded'}",
            ["BERTH_MAX_CONNECTIONS_PER_CLIENT": "3", "BERTH_TRUSTED_PROXIES": "10.0.0.0/8, unix"]
        ).limits()
        #expect(own.headTimeout == .milliseconds(500) && own.maximumFields == 20 && !own.compresses)
        #expect(own.maximumConnectionsPerClient == 3 && own.minimumBytes == 1 && own.proxyField == .forwarded)
        #expect(own.trustedProxies == ["10.0.0.0/8", "unix"].compactMap { AddressRange($0) })
        #expect(throws: BerthError.self) { try make("{headTimeoutMs: 5}") }
        #expect(throws: BerthError.self) { try make(nil, ["BERTH_MAX_HEADERS": "none"]) }
        #expect(throws: BerthError.self) { try make("{trustedProxies: '10.0.0.0/99'}").limits() }
    }
}
