import Base
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// What a command that Berth runs can see and use, on the whole system.
@Suite struct SandboxTests {
    @Test func `the host, the server and other environments are out of sight`() async throws {
        try await withServer { berth, server in
            let canary = try berth.directory.write("canary", to: "host/canary")
            let marker = "neighbours-\(berth.directory.path.suffix(6))"
            let neighbour = try berth.starting(
                "exec",
                "-e",
                "new",
                "--",
                "bash",
                "-c",
                "echo mine >$HOME/neighbour; echo there; exec -a \(marker) sleep 987"
            )
            _ = try await neighbour.line(containing: "there")
            let script = """
                cat '\(canary)' '\(berth.data)/api-key' '\(berth.data)/master.key' '\(berth.data)/berth.sqlite' 2>&1
                ls -A /run/berth; ls -A /var/lib/berth; ls -A '\(berth.data)' /root 2>&1; ls /home /home/agent
                find / -xdev -type s 2>/dev/null
                for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$file; echo; done 2>/dev/null
                cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'
                echo; id -u
                """
            let result = try await berth.berth("exec", "--", "bash", "-c", script)
            #expect(result.status == 0, "\(result.errors)")
            let lines = result.output.split(separator: "\n").map(String.init)
            #expect(!lines.contains("canary"))
            #expect(lines.filter { $0.contains("No such file or directory") }.count == 5, "\(result.output)")
            #expect(lines.contains { $0.contains("'/root': Permission denied") })
            #expect(!result.output.contains("berth serve"))
            #expect(!result.output.contains("neighbour"))
            let key = try String(contentsOf: URL(filePath: berth.data + "/api-key"), encoding: .utf8).trimmed
            #expect(!result.output.contains(key))
            // Nothing between the last name that is hidden and the two that lie under it.
            let hidden = try #require(lines.firstIndex { $0.contains("berth.sqlite") })
            #expect(lines[hidden + 1].contains("No such file"), "\(lines[hidden + 1])")
            // Root of the sandbox is nobody of the host, and the command is not even that.
            #expect(lines.last == "1000")
            let pid = try #require(try await check(["pgrep", "-f", "^\(marker) 987"]).split(separator: "\n").last)
            let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
            #expect(geteuid() != 0 || status.contains("Uid:\t1000001000\t"), "\(status)")
        }
    }

    @Test func `of the host's network only the given port is in reach`() async throws {
        try await withServer { berth, _ in
            let allowed = try await ScriptedPeer("hello_server.py", ["127.0.0.1"])
            let forbidden = try await ScriptedPeer("hello_server.py", ["0.0.0.0"])
            let addresses = try await check(["hostname", "-I"]).split(separator: " ").map { address in
                address.contains(":") ? "[\(address)]" : String(address)
            }
            let targets =
                (["127.0.0.1", "198.18.0.1"] + addresses).map { "http://\($0):\(forbidden.port)/" }
                + ["http://169.254.169.254/", "http://[fd00:ec2::254]/"]
            let script = """
                curl -s -m 5 http://127.0.0.1:\(allowed.port)/; echo
                for url in "$@"; do curl -s -m 1 -o /dev/null $url && echo "reached $url"; done; echo end
                """
            let result = try await berth.run(
                ["exec", "-e", "new", "--host-port", "\(allowed.port)", "--", "bash", "-c", script, "bash"] + targets
            )
            #expect(result.output == "hello\nend\n", "\(result.errors)")
        }
    }

    @Test func `a memory hog is killed, and its record says so`() async throws {
        try await withServer { berth, _ in
            guard try await Self.made(berth, "--memory", "128M") else { return }
            let hog = "print(len(bytearray(1 << 30)))"
            let result = try await berth.berth("exec", "-e", "box", "--", "python3", "-c", hog)
            #expect(result.status == 137)
            #expect(result.errors.contains("memory"), "\(result.errors)")
            #expect(try await berth.newestExecution()["failure"]?["message"]?.string?.contains("memory") == true)
            // The environment outlives it.
            #expect(try await berth.berth("exec", "-e", "box", "--", "echo", "on").output == "on\n")
        }
    }

    @Test func `a fork bomb stays within its environment and ends at the time limit`() async throws {
        try await withServer { berth, _ in
            guard try await Self.made(berth, "--processes", "64") else { return }
            let bomb = "bomb() { bomb | bomb & }; bomb; sleep 987"
            let result = try await berth.berth("exec", "-e", "box", "--timeout", "2s", "--", "bash", "-c", bomb)
            #expect(result.status == 124, "\(result.errors.suffix(500))")
            let after = try await berth.berth("exec", "-e", "box", "--", "sh", "-c", "ls /proc | grep -c '^[0-9]'")
            #expect(after.status == 0, "\(after.errors)")
            #expect((Int(after.output.trimmed) ?? 99) < 12)
        }
    }

    @Test func `limits hold the processors, and the record tells them as they are`() async throws {
        try await withServer { berth, _ in
            let enforced = try await Self.made(berth, "--cpus", "0.2", "--memory", "256M", "--processes", "99")
            let shown = try await berth.json("env", "show", "box")
            #expect(shown["spec"]?["limits"]?["memoryBytes"]?.integer == 268_435_456)
            #expect(shown["spec"]?["limits"]?["processes"]?.integer == 99)
            #expect(shown["spec"]?["limits"]?["cpus"]?.number == 0.2)
            #expect((shown["limitations"]?.array?.isEmpty == true) == enforced)
            guard enforced else { return }
            let spin = "import time; end = time.time() + 2\nwhile time.time() < end: pass\nprint(time.process_time())"
            let result = try await berth.berth("exec", "-e", "box", "--", "python3", "-c", spin)
            #expect((Double(result.output.trimmed) ?? 9) < 1, "\(result.output) of 2 s")
        }
    }

    /// Makes the environment `box`; whether this machine enforces its limits.
    private static func made(_ berth: Installation, _ limits: String...) async throws -> Bool {
        let result = try await berth.run(["env", "create", "box"] + limits)
        #expect(result.status == 0, "\(result.errors)")
        return try await berth.json("env", "show", "box")["limitsEnforced"]?.string?.hasPrefix("cgroup") == true
    }
}
