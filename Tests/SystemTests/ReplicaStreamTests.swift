import Base
import FoundationEssentials
import TestSupport
import Testing

/// What an environment's worker answers, through the server that it is not connected to.
@Suite struct ReplicaStreamTests {
    @Test func `conversations, files and recordings are reached through the other server`() async throws {
        try await ReplicaInstallation.with { setup in
            let near = try await setup.serve("near", variables: ["BERTH_PROVIDER": "host"])
            let far = try await setup.serve("far", variables: ["BERTH_PROVIDER": "host"])
            let seed = setup.folder.file("seed")
            try setup.folder.write("seed\n", to: "seed/file.txt")
            for arguments in [["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "seed"]] {
                let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
                try await TestSupport.check(["git", "-C", seed] + identity + arguments)
            }
            func cli(_ arguments: String..., at server: ReplicaInstallation.Server) async throws -> String {
                let process = try ChildProcess(
                    [ProgramLocation.path("berth")] + arguments,
                    environment: ChildProcess.plainEnvironment.merging([
                        "BERTH_DATA": setup.folder.file("elsewhere"), "BERTH_API_KEY": try server.key,
                        "BERTH_SERVER": server.url, "NO_COLOR": "1",
                    ]) { $1 }
                )
                let status = try await process.exit(within: .seconds(90))
                let errors = String(decoding: process.standardError, as: UTF8.self)
                #expect(status == 0, "\(arguments): \(errors)")
                return String(decoding: process.standardOutput, as: UTF8.self)
            }
            _ = try await cli("run", "--repo", seed, "--agent", "command", "true", at: near)
            let list = try await setup.call("/v1/workspaces", at: far)
            let workspace = try #require(list["items"]?.array?.first?["id"]?.string, "\(list)")

            for server in [far, near] {
                let name = server.url == far.url ? "far" : "near"
                _ = try await cli(
                    "session",
                    "start",
                    workspace,
                    "--agent",
                    "command",
                    "--name",
                    name,
                    "-d",
                    "--",
                    "wc",
                    "-w",
                    at: server
                )
                let follower = try ChildProcess(
                    ["curl", "-sSN", "-H", "Authorization: Bearer \(try server.key)"]
                        + ["\(server.url)/v1/workspaces/\(workspace)/agent-sessions/\(name)/events"]
                )
                _ = try await follower.line(containing: "event: snapshot")
                #expect(
                    try await cli("session", "send", workspace, name, "one two three", "--wait", at: server).contains(
                        "3"
                    )
                )
                _ = try await follower.line(containing: #""text":"3"#)
                follower.signal(15)
                _ = try await follower.exit()

                // More than one piece both ways, and what is not so is refused in the other server's words.
                let big = setup.folder.file("big-\(name)")
                try await TestSupport.check(["sh", "-c", "head -c 3000000 /dev/urandom >\(big)"])
                let content = "'\(server.url)/v1/workspaces/\(workspace)/files/content?path=big'"
                let curl = "curl -sSf -H 'Authorization: Bearer \(try server.key)'"
                try await TestSupport.check([
                    "sh", "-c", "\(curl) -T \(big) \(content) && \(curl) \(content) | cmp - \(big)",
                ])
                let none = try await setup.call("/v1/workspaces/\(workspace)/files?path=nowhere", at: server)
                #expect(none["code"]?.string == "not_found", "\(none)")
            }
            for server in [far, near] {
                let run = try await setup.call(
                    "/v1/workspaces/\(workspace)/run",
                    #"{"command":"sleep 600"}"#,
                    at: server
                )
                #expect(run["state"]?.string == "STARTING", "\(run)")
                let stopped = try await setup.call("/v1/workspaces/\(workspace)/run", method: "DELETE", at: server)
                #expect(stopped["state"]?.string == "IDLE", "\(stopped)")
            }
            let environment = try #require(list["items"]?.array?.first?["environmentId"]?.string)
            _ = try await setup.call(
                "/v1/environments/\(environment)/terminals",
                #"{"name":"shown","command":["sh","-c","echo what was shown; sleep 600"]}"#,
                at: near
            )
            for server in [near, far] {
                let cast = try await setup.fetch(
                    "/v1/environments/\(environment)/terminals/shown/recording",
                    at: server
                )
                #expect(cast.hasPrefix("{\"version\":2") && cast.contains("what was shown"), "\(cast)")
            }
            _ = try await cli("env", "destroy", environment, at: far)
            try await setup.end(near.process, far.process)
        }
    }
}
