import Base
import FoundationEssentials
import TestSupport
import Testing

/// Ports inside a sandbox, reached from outside by the shipped programs.
@Suite struct ForwardTests {
    @Test func `a web server inside a sandbox is reached through berth forward`() async throws {
        try await withServer { berth, _ in
            let page = "page-\(berth.directory.path.suffix(6))"
            let inside = try berth.starting(
                "exec",
                "-e",
                "new",
                "--",
                "sh",
                "-c",
                """
                cd $(mktemp -d); echo \(page) >page; head -c 30000000 /dev/urandom >big; sha256sum <big
                exec python3 -c "$1" 8123
                """,
                "sh",
                try String(contentsOfFile: ScriptedPeer.path("small_web_server.py"), encoding: .utf8)
            )
            _ = try await inside.line(containing: "there")
            let digest = try #require(
                String(decoding: inside.standardOutput, as: UTF8.self).split(separator: " ").first
            )
            let name = try #require(try await berth.json("env", "ls")["items"]?.array?.first?["name"]?.string)

            let forward = try berth.starting("forward", name, "0:8123", "0:9")
            let line = try await forward.line(containing: "→ \(name):8123")
            let address = try #require(line.split(separator: " ").first)
            #expect(address.hasPrefix("127.0.0.1:"))
            #expect(try await check(["curl", "-s", "http://\(address)/page"]) == page)
            let sum = try await check(["sh", "-c", "curl -s http://\(address)/big | sha256sum"])
            #expect(sum.hasPrefix(digest))

            // Nothing listens on 9: the connection ends, and a line says why.
            let other = try #require(
                try await forward.line(containing: "→ \(name):9").split(separator: " ").first
            )
            let refused = try await run(["curl", "-s", "-m", "20", "http://\(other)/"])
            #expect(refused.status != 0)
            _ = try await forward.line(containing: "port 9 took no connection", on: .stderr)
            // A port that somebody has already.
            let taken = try #require(address.split(separator: ":").last)
            let second = try await berth.berth("forward", name, "\(taken):8123")
            #expect(second.status != 0)
            #expect(second.errors.contains("0:8123"), "\(second.errors)")
            forward.signal(2)
            #expect(try await forward.exit(within: .seconds(20)) == 0)
            inside.signal(2)
            _ = try await inside.exit(within: .seconds(30))
        }
    }

    @Test func `whoever connects to a stopped environment wakes it`() async throws {
        try await withServer { berth, _ in
            _ = try await berth.json("env", "create", "sleeper")
            #expect(try await berth.json("env", "stop", "sleeper")["status"]?.string == "stopped")
            let forward = try berth.starting("forward", "sleeper", "0:9")
            let line = try await forward.line(containing: "→ sleeper:9")
            let address = try #require(line.split(separator: " ").first)
            // Nothing listens there; by the time that is known it runs.
            _ = try await run(["curl", "-s", "-m", "60", "http://\(address)/"])
            _ = try await forward.line(containing: "port 9 took no connection", on: .stderr)
            #expect(try await berth.json("env", "show", "sleeper")["status"]?.string == "running")
            let why = try await berth.json("env", "why", "sleeper")
            #expect(why["autoStopMinutes"]?.integer == 30)
            #expect(why["nextRest"]?.string != nil)
            #expect(why["rests"]?.array?.isEmpty == true)
            forward.signal(2)
            _ = try await forward.exit(within: .seconds(20))
        }
    }

    @Test func `what cannot be forwarded is refused in words`() async throws {
        try await withServer { berth, _ in
            let unknown = try await berth.berth("forward", "nowhere", "1:2")
            #expect(unknown.status == 66)
            for ports in ["x", "1:2:3", "70000", "1:0", ""] {
                let result = try await berth.berth("forward", "nowhere", ports)
                #expect(result.status == 64, "\(ports)")
                #expect(result.errors.contains("LOCALPORT:PORT"))
            }
        }
    }
}
