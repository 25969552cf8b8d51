import Base
import TestSupport
import Testing

/// The API in one process, the job queues in another.
@Suite struct RoleTests {
    @Test func `one server answers, another has the environments, and a run goes through both`() async throws {
        let cluster = try await PostgresCluster.shared()
        try await cluster.withDatabase(migrated: false) { name in
            let shared = [
                "BERTH_DATABASE": cluster.url(name).reveal(),
                "BERTH_MASTER_KEY": Hex.encode(SystemRandomness().bytes(32)),
            ]
            try await withServer(try Installation(variables: shared), flags: ["--role", "api"]) { api, _ in
                // Nobody does it yet, and nothing is lost.
                _ = try await api.json("env", "create", "box", "--no-wait")
                let waiting = try await api.json("jobs", "ls")
                #expect(waiting["items"]?.array?.first?["status"]?.string == "queued")
                try await withServer(try Installation(variables: shared), flags: ["--role", "jobs"]) { jobs, _ in
                    let result = try await api.berth("exec", "--environment", "box", "--", "sh", "-c", "echo there")
                    #expect(result.output == "there\n" && result.status == 0, "\(result.errors)")
                    let done = try await api.json("jobs", "ls", "--status", "completed")
                    #expect(done["items"]?.array?.first?["action"]?.string == "provision")
                    let refused = try await jobs.berth("ls")
                    #expect(refused.status == 69 && refused.errors.contains("this server runs jobs only"))
                    // Its end is the other server's work as well.
                    let destroyed = try await api.json("env", "destroy", "box")
                    #expect(destroyed["status"]?.string == "destroyed")
                }
            }
        }
    }
}
