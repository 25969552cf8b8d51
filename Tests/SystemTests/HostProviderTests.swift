import Base
import TestSupport
import Testing

/// The provider without isolation.
@Suite struct HostProviderTests {
    @Test func `host runs only on request, with a loud warning, among the server's own files`() async throws {
        try await withServer { berth, _ in
            let canary = try berth.directory.write("seen", to: "canary")
            let result = try await berth.berth(
                "exec",
                "-e",
                "new",
                "--provider",
                "host",
                "--",
                "sh",
                "-c",
                "cat '\(canary)'; exit 5"
            )
            #expect(result.status == 5)
            #expect(result.output == "seen")
            #expect(result.errors.contains("WARNING: provider host gives NO isolation"))
            let items = try await berth.json("env", "ls")["items"]?.array ?? []
            #expect(items.count == 1)
            #expect(items.first?["limitsEnforced"]?.string == "none")
            #expect(
                items.first?["limitations"]?.array?.contains { $0.string?.contains("no isolation") == true } == true
            )
        }
    }

    @Test func `a sandbox that cannot be made is an error, never a run on the host`() async throws {
        let place = try Installation(variables: ["BERTH_BASE_ROOT": "/nonexistent/base-root"])
        try await withServer(place) { berth, _ in
            let mark = berth.directory.file("mark")
            let result = try await berth.berth("exec", "--", "touch", mark)
            #expect(result.status == 69, "\(result.errors)")
            #expect(result.errors.contains("base root of sandboxes is missing"), "\(result.errors)")
            #expect(try await run(["test", "-e", mark]).status == 1)
            let items = try await berth.json("env", "ls")["items"]?.array ?? []
            #expect(items.allSatisfy { $0["spec"]?["provider"]?.string == "local" })
        }
    }
}
