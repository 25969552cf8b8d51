import Base
import FoundationEssentials
import TestSupport
import Testing

/// Snapshots, forks and the way back through the CLI, on the real QEMU.
@Suite struct SnapshotRunTests {
    private static let limits = ["--cpus", "1", "--memory", "256M", "--disk", "256M", "--network", "none"]

    private static func sh(_ berth: Installation, _ environment: String, _ script: String) async throws -> String {
        let result = try await berth.berth("exec", "-e", environment, "--", "sh", "-c", script)
        #expect(result.status == 0, "\(environment): \(result.errors)")
        return result.output
    }

    @Test func `what was kept is forked and gone back to, with its processes, and a clock and entropy of its own`()
        async throws
    {
        try await withServer(Installation()) { berth, _ in
            let made = try await berth.run(["env", "create", "source", "--provider", "microvm"] + Self.limits)
            #expect(made.status == 0, "\(made.errors)")
            let start = """
                echo before >$HOME/file; setsid sleep 1000 >/dev/null 2>&1 & echo $! >$HOME/pid; sync
                """
            _ = try await Self.sh(berth, "source", start)
            let kept = try await berth.berth("env", "snapshot", "source")
            #expect(kept.status == 0, "\(kept.errors)")
            _ = try await Self.sh(berth, "source", "echo after >$HOME/file")
            let snapshot = try #require(
                try await berth.json("env", "snapshots", "source")["items"]?.array?.first?["id"]?.string
            )
            let fork = try await berth.berth("env", "fork", "source", "twin", "--snapshot", snapshot)
            #expect(fork.status == 0, "\(fork.errors)")
            let back = try await berth.berth("env", "restore", "source")
            #expect(back.status == 0, "\(back.errors)")
            let look = """
                cat $HOME/file; kill -0 $(cat $HOME/pid) && hostname; cat /proc/sys/kernel/random/uuid; date +%s
                """
            var ids: Set<Substring> = []
            for name in ["source", "twin"] {
                let lines = try await Self.sh(berth, name, look).split(separator: "\n")
                try #require(lines.count == 4, "\(name): \(lines)")
                #expect(lines[0] == "before")
                #expect(lines[1] == Substring(name))
                ids.insert(lines[2])
                let clock = try #require(Double(lines[3]))
                let now = Double(SystemTime().now.milliseconds) / 1000
                #expect(abs(clock - now) < 30)
            }
            #expect(ids.count == 2)
            // What happens in one of them happens in no other.
            _ = try await Self.sh(berth, "twin", "echo twin >$HOME/file")
            #expect(try await Self.sh(berth, "source", "cat $HOME/file") == "before\n")
            #expect(try await berth.berth("env", "destroy", "source").status == 0)
            #expect(try await Self.sh(berth, "twin", "cat $HOME/file") == "twin\n")
        }
    }

    @Test func `another provider refuses by name, and says which one can`() async throws {
        try await withServer(Installation()) { berth, _ in
            #expect(try await berth.berth("env", "create", "box").status == 0)
            for verb in ["snapshot", "fork", "restore"] {
                let refused = try await berth.berth("env", verb, "box")
                #expect(refused.status != 0)
                #expect(refused.errors.contains("the provider 'local' cannot"), "\(refused.errors)")
                #expect(refused.errors.contains("--provider microvm"), "\(refused.errors)")
            }
        }
    }
}
