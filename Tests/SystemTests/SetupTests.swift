import Base
import FoundationEssentials
import TestSupport
import Testing

/// Onboarding: logins are made on terminals inside the environment, and the server has none of them.
@Suite struct SetupTests {
    @Test func `a login that is typed inside completes the setup and is found nowhere on the server`() async throws {
        let secret = "sk-ant-oat01-" + String(repeating: "7b3e", count: 10)
        try await withServer { berth, server in
            let first = try await berth.berth("setup", "--check", "--json")
            #expect(first.status == 77, "\(first.errors)")
            let found = try JSONDecoder().decode(JSONValue.self, from: Data(first.output.utf8))
            let states = (found["logins"]?.array ?? []).reduce(into: [String: String]()) {
                $0[$1["tool"]?.string ?? ""] = $1["state"]?.string
            }
            #expect(states == ["gh": "loggedOut", "claude": "loggedOut"], "\(states)")
            #expect(found["completedAt"]?.string == nil)

            // As the agent's own login leaves it, typed on a terminal that does not show it.
            let opened = try await berth.berth(
                "terminal",
                "open",
                "personal",
                "--detach",
                "--name",
                "login",
                "--",
                "sh",
                "-c",
                "stty -echo; echo ready; read -r key; mkdir -p ~/.claude; "
                    + "printf '{\"claudeAiOauth\":{\"accessToken\":\"%s\",\"refreshToken\":\"r\",\"expiresAt\":4102444800000,"
                    + "\"scopes\":[\"user:inference\"],\"subscriptionType\":\"max\"}}' \"$key\" > ~/.claude/.credentials.json; "
                    + "echo done; sleep 1000"
            )
            #expect(opened.status == 0, "\(opened.errors)")
            let attached = try berth.starting("terminal", "attach", "personal", "login")
            _ = try await attached.line(containing: "ready")
            attached.send(secret + "\n")
            _ = try await attached.line(containing: "done")
            attached.signal(15)
            _ = try? await attached.exit(within: .seconds(20))

            let second = try await berth.berth("setup", "--check", "--skip", "gh", "--json")
            let after = try JSONDecoder().decode(JSONValue.self, from: Data(second.output.utf8))
            #expect(second.status == 0, "\(second.output)\(second.errors)")
            #expect(after["completedAt"]?.string != nil)
            let again = try await berth.berth("setup", "--check", "--skip", "gh")
            #expect(again.status == 0 && again.output.contains("complete"))

            // Database, segments, spools, bus: everything of the server's but the environment itself.
            let places = try FileManager.default.contentsOfDirectory(atPath: berth.data).filter { $0 != "environments" }
            for place in places {
                let hits = try await check([
                    "python3", ScriptedPeer.path("find_bytes.py"), "\(berth.data)/\(place)", secret,
                ])
                #expect(hits.isEmpty, "the login is in \(hits)")
            }
            #expect(!String(decoding: server.standardError + server.standardOutput, as: UTF8.self).contains(secret))
            let inside = try await berth.berth("exec", "--", "grep", "-c", secret, "/root/.claude/.credentials.json")
            let home = try await berth.berth("exec", "--", "sh", "-c", "grep -c \(secret) ~/.claude/.credentials.json")
            #expect(inside.output.contains("1") || home.output.contains("1"), "and there it is")
        }
    }

    @Test func `a tool that nobody knows cannot be skipped`() async throws {
        try await withServer { berth, _ in
            let result = try await berth.berth("setup", "--check", "--skip", "svn")
            #expect(result.status == 64 && result.errors.contains("gh, claude"), "\(result.errors)")
        }
    }
}
