import Base
import FoundationEssentials
import TestSupport
import Testing

/// Servers that die while they are at an environment.
@Suite struct JobCrashTests {
    /// A holder whose first call never answers; it says that it was called, and under which id.
    private static func hangingPrograms(_ folder: TemporaryDirectory) async throws -> String {
        let programs = folder.file("programs")
        let script = """
            #!/bin/sh
            if mkdir "\(programs)/called" 2>/dev/null; then
                echo $$ > "\(programs)/pid"
                echo > "\(programs)/hangs"
                exec sleep 600
            fi
            exec "\(ProgramLocation.path("berth-hold"))" "$@"
            """
        try FileManager.default.createDirectory(atPath: programs, withIntermediateDirectories: true)
        try Data(script.utf8).write(to: URL(filePath: programs + "/berth-hold"))
        let worker = ProgramLocation.path("berth-worker")
        try await check(["sh", "-c", "chmod +x \(programs)/berth-hold; ln -s \(worker) \(programs)/berth-worker"])
        try await check(["mkfifo", programs + "/hangs"])
        return programs
    }

    @Test func `what a killed server was at runs again once, and the try is on record`() async throws {
        let folder = try TemporaryDirectory("jobs")
        let programs = try await Self.hangingPrograms(folder)
        let installation = try Installation(variables: ["BERTH_PROGRAMS": programs], directory: folder)
        try await withServer(installation) { berth, server in
            _ = try await berth.json("env", "create", "box", "--provider", "host", "--no-wait")
            try await check(["sh", "-c", "read line < \(programs)/hangs"])
            let before = try await berth.json("jobs", "ls")
            #expect(before["items"]?.array?.count == 1)
            #expect(before["items"]?.array?.first?["status"]?.string == "active")
            let address = try #require(String(decoding: server.standardError, as: UTF8.self).firstAddress)
            server.signal(9)
            _ = try await server.exit()
            try await check(["sh", "-c", "kill -9 $(cat \(programs)/pid)"])
            let second = try await berth.serve(listen: address)
            let running = try await berth.json("env", "start", "box")
            #expect(running["status"]?.string == "running")
            let jobs = try await berth.json("jobs", "ls")
            let id = try #require(before["items"]?.array?.first?["id"]?.string)
            #expect(jobs["items"]?.array?.contains { $0["id"]?.string == id } == true)
            let job = try await berth.json("jobs", "show", id)
            #expect(job["status"]?.string == "completed" && job["failures"]?.integer == 0)
            #expect(job["attempts"]?.array?.map { $0["outcome"]?.string } == ["lost", "completed"])
            let shown = try await berth.berth("jobs", "show", id)
            #expect(shown.output.contains("lost") && shown.output.contains("0 of 3 failed"))
            await berth.destroyEverything()
            second.signal(15)
            _ = try await second.exit()
        }
    }

    @Test(arguments: ["jobs", "api"])
    func `a role of its own is refused where the database belongs to one server`(_ role: String) async throws {
        let installation = try Installation()
        let result = try await installation.berth("serve", "--listen", "127.0.0.1:0", "--role", role)
        #expect(result.status == 69)
        #expect(result.errors.contains("the role '\(role)' needs a database that several servers share"))
        #expect(result.errors.contains("postgres://"))
    }
}
