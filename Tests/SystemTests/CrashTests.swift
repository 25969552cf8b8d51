import Base
import FoundationEssentials
import TestSupport
import Testing

/// kill -9 in mid-run: the run goes on, every byte arrives, the viewer's stream resumes by itself.
@Suite struct CrashTests {
    @Test func `a killed server comes back and the viewer misses nothing`() async throws {
        try await withServer { berth, server in
            let viewer = try berth.starting("exec", "--", "python3", "-c", CountedRun.script)
            _ = try await viewer.line(containing: "000500")
            let address = try #require(String(decoding: server.standardError, as: UTF8.self).firstAddress)
            server.signal(9)
            _ = try await server.exit()
            let second = try await berth.serve(listen: address)
            #expect(try await viewer.exit(within: .seconds(90)) == 0)
            let told = String(decoding: viewer.standardError, as: UTF8.self)
            let seen = try await CountedRun.digest(of: viewer.standardOutput)
            #expect(told.contains(seen), "\(viewer.standardOutput.count) bytes; \(told.suffix(300))")
            #expect(try await berth.newestExecution()["report"]?["stdout"]?["sha256"]?.string == seen)
            await berth.destroyEverything()
            second.signal(15)
            _ = try await second.exit()
        }
    }

    @Test func `a killed worker comes back and the run never notices`() async throws {
        try await withServer { berth, _ in
            let viewer = try berth.starting("exec", "--", "python3", "-c", CountedRun.script)
            _ = try await viewer.line(containing: "000500")
            for _ in 0..<3 {
                try await check(["sh", "-c", Self.killWorkers(of: berth)])
                let text = String(decoding: viewer.standardOutput.suffix(400), as: UTF8.self)
                let last = text.split(separator: "\n").dropLast().last?.prefix(6) ?? "000500"
                let next = String(("000000" + String((Int(last) ?? 500) + 300)).suffix(6))
                _ = try await viewer.line(containing: next)
            }
            #expect(try await viewer.exit(within: .seconds(90)) == 0)
            let told = String(decoding: viewer.standardError, as: UTF8.self)
            let seen = try await CountedRun.digest(of: viewer.standardOutput)
            #expect(told.contains(seen), "\(viewer.standardOutput.count) bytes; \(told.suffix(300))")
        }
    }

    /// A worker is its holder's child; the holder's pid is in the environment's record.
    static func killWorkers(of berth: Installation) -> String {
        "for pid in $(awk '/^holder/ {print $2}' \(berth.data)/environments/*/instance); do "
            + "until pkill -9 -P $pid -x berth-worker; do :; done; done"
    }
}

extension String {
    /// `127.0.0.1:PORT` of a text that names a URL.
    var firstAddress: String? {
        let words = split { $0.isWhitespace || $0 == "\"" }
        guard let url = words.first(where: { $0.hasPrefix("http://") }) else { return nil }
        return String(url.dropFirst(7).prefix { $0.isNumber || $0 == "." || $0 == ":" })
    }
}
