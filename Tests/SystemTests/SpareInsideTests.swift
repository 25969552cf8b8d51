import Base
import FoundationEssentials
import TestSupport
import Testing

/// Machines that waited, seen from inside by whoever claimed them.
@Suite struct SpareInsideTests {
    /// One claim's view: its environment, and what a command inside prints by name.
    private static func claim(_ berth: Installation, _ name: String) async throws -> (JSONValue, [String: String]) {
        let made = try await berth.json("env", "create", name, "--no-wait")
        let script = """
            echo "hostname $(hostname)"; echo "hosts $(cat /etc/hosts | tr '\\n' ' ')"
            echo "random $(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n')"
            echo "now $(date +%s)"; echo "files $(ls -A /tmp /workspace | grep -v ^berth-exec_ | tr '\\n' ' ')"
            echo "environment $(env | sort | tr '\\n' ' ')"
            echo "others $(cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ')"
            """
        let result = try await berth.berth("env", "exec", name, "--", "sh", "-c", script)
        #expect(result.status == 0, "\(result.errors)")
        var seen: [String: String] = [:]
        for line in result.output.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            seen[String(parts[0])] = parts.count == 2 ? String(parts[1]) : ""
        }
        return (made, seen)
    }

    @Test func `nothing inside tells that it waited, and no two are alike`() async throws {
        let berth = try Installation(variables: ["BERTH_WARM_SPARES": "1"])
        try await withServer(berth) { berth, _ in
            let waiting = try await Self.ready(berth, after: "0")
            let (first, one) = try await Self.claim(berth, "first")
            _ = try await Self.ready(berth, after: waiting)
            let (second, two) = try await Self.claim(berth, "second")
            for (made, seen) in [(first, one), (second, two)] {
                #expect(made["status"]?.string == "running")
                let id = try #require(made["id"]?.string)
                #expect(seen["hostname"] == "env-\(id.suffix(6))")
                #expect(seen["environment"]?.contains(id) == true)
                let now = try #require(seen["now"].flatMap { Int64($0) })
                #expect(abs(now - SystemTime().now.milliseconds / 1000) < 30)
                for word in ["spare", "pool", "claim"] {
                    for (name, text) in seen { #expect(!text.contains(word), "\(name): \(text)") }
                }
            }
            let ids = try [first, second].map { try #require($0["id"]?.string) }
            #expect(one.values.allSatisfy { !$0.contains(ids[1]) })
            #expect(two.values.allSatisfy { !$0.contains(ids[0]) })
            #expect(one["random"] != two["random"])
            #expect(one["files"] == two["files"])
        }
    }

    /// Returns the number of the change by which the next spare runs.
    private static func ready(_ berth: Installation, after change: String) async throws -> String {
        let changes = try berth.starting("changes", "-f", "--after", change, "--type", "environment.running")
        let line = try await changes.line(containing: "environment.running")
        changes.signal(2)
        _ = try await changes.exit(within: .seconds(30))
        return String(try #require(line.split(separator: " ").first))
    }
}
