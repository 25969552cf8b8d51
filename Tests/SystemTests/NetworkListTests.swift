import Base
import TestSupport
import Testing

/// Allow-lists of real sandboxes, seen from inside.
@Suite struct NetworkListTests {
    /// This machine by its own name, which its hosts file knows.
    private static func host() async throws -> (name: String, address: String) {
        let name = try await check(["hostname"]).lowercased()
        let line = try await check(["getent", "ahostsv4", name])
        return (name, String(try #require(line.split(separator: " ").first)))
    }

    private static func fetch(_ berth: Installation, _ name: String, _ port: Int) async throws -> CommandResult {
        try await berth.berth("env", "exec", "listed", "--", "curl", "-sS", "-m", "15", "http://\(name):\(port)/")
    }

    @Test func `a sandbox reaches the names and ports of its list, and its changes hold at once`() async throws {
        let (name, address) = try await Self.host()
        let berth = try Installation(variables: ["BERTH_EGRESS_PRIVATE": address])
        try await withServer(berth) { berth, _ in
            let server = try await ScriptedPeer("hello_server.py", ["0.0.0.0"])
            let other = try await ScriptedPeer("hello_server.py", ["0.0.0.0"])
            let made = try await berth.berth("env", "create", "listed", "--allow", "\(name):\(server.port)")
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

    @Test func `a name on the list leads to no private address, and an open network has no list`() async throws {
        let (name, _) = try await Self.host()
        try await withServer { berth, _ in
            let server = try await ScriptedPeer("hello_server.py", ["0.0.0.0"])
            let rules = ["--allow", "\(name):\(server.port)", "--allow", "metadata.localhost:\(server.port)"]
            let made = try await berth.run(["env", "create", "listed"] + rules)
            #expect(made.status == 0, "\(made.errors)")
            #expect(try await Self.fetch(berth, name, server.port).status != 0)
            #expect(try await Self.fetch(berth, "metadata.localhost", server.port).status != 0)
            let open = try await berth.berth("env", "create", "open")
            #expect(open.status == 0, "\(open.errors)")
            let refused = try await berth.berth("env", "network", "open", "--allow", "example.com:443")
            #expect(refused.status != 0)
            #expect(refused.errors.contains("cannot become 'allow'"))
            let wrong = try await berth.berth("env", "network", "listed", "--allow", "10.0.0.1:80")
            #expect(wrong.status == 64)
        }
    }
}
