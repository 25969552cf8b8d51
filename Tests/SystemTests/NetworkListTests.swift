import Base
import TestSupport
import Testing

/// Allow-lists of real environments, seen from inside: the way out is the worker's, so it is the same in every provider.
@Suite struct NetworkListTests {
    private static let providers = ["local", "docker", "microvm"]

    private static func place(_ provider: String, _ variables: [String: String] = [:]) async throws -> Installation {
        var variables = variables
        if provider == "docker" { variables["BERTH_DOCKER_SOCKET"] = try await DockerEngine.shared().socket }
        return try Installation(variables: variables)
    }

    private static func create(_ name: String, _ provider: String) -> [String] {
        ["env", "create", name, "--provider", provider, "--cpus", "1", "--memory", "256M", "--disk", "256M"]
    }

    /// This machine by its own name, which its hosts file knows.
    private static func host() async throws -> (name: String, address: String) {
        let name = try await check(["hostname"]).lowercased()
        let line = try await check(["getent", "ahostsv4", name])
        return (name, String(try #require(line.split(separator: " ").first)))
    }

    private static func fetch(_ berth: Installation, _ name: String, _ port: Int) async throws -> CommandResult {
        try await berth.berth("env", "exec", "listed", "--", "curl", "-sS", "-m", "15", "http://\(name):\(port)/")
    }

    @Test(arguments: providers)
    func `an environment reaches the names and ports of its list, and changes hold at once`(_ provider: String)
        async throws
    {
        let (name, address) = try await Self.host()
        let berth = try await Self.place(provider, ["BERTH_EGRESS_PRIVATE": address])
        try await withServer(berth) { berth, _ in
            let server = try await ScriptedPeer("hello_server.py", ["0.0.0.0"])
            let other = try await ScriptedPeer("hello_server.py", ["0.0.0.0"])
            let made = try await berth.run(Self.create("listed", provider) + ["--allow", "\(name):\(server.port)"])
            #expect(made.status == 0, "\(made.errors)")
            let found = try await Self.fetch(berth, name, server.port)
            #expect(found.status == 0, "\(found.errors)")
            #expect(found.output.contains("hello"))
            // Another port of the same name, another name, and the address itself.
            #expect(try await Self.fetch(berth, name, other.port).status != 0)
            #expect(try await Self.fetch(berth, "example.com", 80).status != 0)
            #expect(try await Self.fetch(berth, address, server.port).status != 0)

            let more = try await berth.berth("env", "network", "listed", "--allow", "\(name):\(other.port)")
            #expect(more.status == 0, "\(more.errors)")
            #expect(try await Self.fetch(berth, name, other.port).output.contains("hello"))
            let less = try await berth.berth("env", "network", "listed", "--deny", "\(name):\(server.port)")
            #expect(less.status == 0, "\(less.errors)")
            #expect(try await Self.fetch(berth, name, server.port).status != 0)
            #expect(try await Self.fetch(berth, name, other.port).output.contains("hello"))
            let none = try await berth.berth("env", "network", "listed", "--none")
            #expect(none.status == 0, "\(none.errors)")
            #expect(try await Self.fetch(berth, name, other.port).status != 0)
        }
    }

    @Test(arguments: providers)
    func `a name on the list leads to no private address, and an open network has no list`(_ provider: String)
        async throws
    {
        let (name, address) = try await Self.host()
        try await withServer(try await Self.place(provider)) { berth, _ in
            let server = try await ScriptedPeer("hello_server.py", ["0.0.0.0"])
            let rules = ["--allow", "\(name):\(server.port)", "--allow", "metadata.localhost:\(server.port)"]
            let made = try await berth.run(Self.create("listed", provider) + rules)
            #expect(made.status == 0, "\(made.errors)")
            #expect(try await Self.fetch(berth, name, server.port).status != 0)
            #expect(try await Self.fetch(berth, "metadata.localhost", server.port).status != 0)
            for host in [address, "127.0.0.1", "10.0.2.2", "169.254.169.254"] {
                #expect(try await Self.fetch(berth, host, server.port).status != 0, "\(host)")
            }
            let open = try await berth.run(Self.create("open", provider))
            #expect(open.status == 0, "\(open.errors)")
            // Nor with the whole internet: the host's services, by every name that they have inside.
            for host in [address, "127.0.0.1", "10.0.2.2", "169.254.169.254"] {
                let url = "http://\(host):\(server.port)/"
                let found = try await berth.berth("env", "exec", "open", "--", "curl", "-sS", "-m", "3", url)
                #expect(found.status != 0, "\(host)")
            }
            let refused = try await berth.berth("env", "network", "open", "--allow", "example.com:443")
            #expect(refused.status != 0)
            #expect(refused.errors.contains("cannot become 'allow'"))
            let wrong = try await berth.berth("env", "network", "listed", "--allow", "10.0.0.1:80")
            #expect(wrong.status == 64)
        }
    }
}
