import Base
import FoundationEssentials
import TestSupport
import Testing

/// `getSSHCredentials`: the stock client with host, port, user and key alone.
@Suite struct SSHLoginTests {
    @Test func `a login's port takes its own key, and closes at its end`() async throws {
        let home = try TemporaryDirectory("ssh-home")
        let berth = try Installation(variables: ["XDG_CONFIG_HOME": home.path])
        try await withServer(berth) { berth, _ in
            _ = try await berth.json("env", "create", "build")
            let login = try await berth.json("ssh-login", "build", "--for", "10m")
            let port = try #require(login["port"]?.integer)
            #expect((2222...2321).contains(port) && login["host"]?.string == "127.0.0.1")
            let key = try home.write(try #require(login["privateKey"]?.string), to: "key")
            let hosts = try home.write(
                "[127.0.0.1]:\(port) \(try #require(login["hostKey"]?.string))\n",
                to: "known_hosts"
            )
            let stranger = home.file("stranger")
            try await check(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger])
            try await check(["chmod", "600", key])
            func ssh(_ key: String, _ command: String) async throws -> CommandResult {
                try await run(
                    ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=\(hosts)", "-i", key]
                        + ["-o", "IdentitiesOnly=yes", "-p", "\(port)"]
                        + ["\(login["username"]?.string ?? "")@127.0.0.1", command],
                    environment: berth.environment
                )
            }
            let inside = try await ssh(key, "id -un; exit 9")
            #expect(inside.status == 9 && inside.output == "agent\n", "\(inside.errors)")
            let refused = try await ssh(stranger, "true")
            #expect(refused.status == 255 && refused.errors.contains("Permission denied"), "\(refused.errors)")

            // A second one has a port and a key of its own.
            let other = try await berth.json("ssh-login", "build")
            #expect(other["port"]?.integer != port)
            #expect(try await ssh(try home.write(other["privateKey"]?.string ?? "", to: "other"), "true").status == 255)

            let open = try ChildProcess(
                ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "UserKnownHostsFile=\(hosts)", "-i", key]
                    + ["-p", "\(port)", "agent@127.0.0.1", "echo there; sleep 600"],
                environment: berth.environment
            )
            _ = try await open.line(containing: "there")
            let token = try #require(login["token"]?.string)
            let ended = try await berth.berth("ssh-login", "build", "--end", token)
            #expect(ended.status == 0, "\(ended.errors)")
            #expect(try await open.exit() == 255)
            #expect(try await ssh(key, "true").errors.contains("Connection refused"))
            #expect(try await berth.berth("ssh-login", "build", "--end", token).status == 66)

            // Kept nowhere: neither the key nor a part of it.
            let line = try #require(login["privateKey"]?.string?.split(separator: "\n").dropFirst(2).first)
            #expect(try await run(["grep", "-rlF", String(line), berth.data]).output == "")
        }
    }

    @Test func `the documents' procedure answers for an environment that runs, and refuses another`() async throws {
        try await withServer { berth, server in
            _ = try await berth.json("env", "create", "build")
            let id = try #require(try await berth.json("env", "show", "build")["id"]?.string)
            let address = try #require(String(decoding: server.standardError, as: UTF8.self).firstAddress)
            let key = try String(contentsOfFile: berth.data + "/api-key", encoding: .utf8).trimmed
            func call(_ procedure: String, _ input: String) async throws -> JSONValue {
                let text = try await check([
                    "curl", "-sS", "-G", "-H", "Authorization: Bearer \(key)", "--data-urlencode", "input=\(input)",
                    "http://\(address)/api/trpc/\(procedure)",
                ])
                return try JSONValue(parsing: text.utf8)
            }
            for (procedure, name) in [
                ("cloudWorkspace.getSSHCredentials", "workspaceId"), ("vm.getSSHCredentials", "vmId"),
            ] {
                let data = try await call(procedure, #"{"\#(name)":"\#(id)"}"#)["result"]?["data"]
                #expect(data?["username"]?.string == "agent", "\(String(describing: data))")
                #expect(data?["privateKey"]?.string?.hasPrefix("-----BEGIN OPENSSH PRIVATE KEY-----") == true)
                #expect(data?["token"]?.string?.isEmpty == false)
            }
            #expect(try await berth.berth("env", "stop", "build").status == 0)
            let refused = try await call("vm.getSSHCredentials", #"{"vmId":"\#(id)"}"#)
            #expect(refused["code"]?.string == "illegal_transition", "\(refused)")
            let missing = try await call("vm.getSSHCredentials", "{}")
            #expect(missing["code"]?.string == "missing_field", "\(missing)")
            let words = try await berth.berth("ssh-login", "build")
            #expect(words.status != 0 && words.errors.contains("berth env start"), "\(words.errors)")
            let soon = try await berth.berth("ssh-login", "build", "--for", "1s")
            #expect(soon.errors.contains("expiresInMs"), "\(soon.errors)")
        }
    }
}
