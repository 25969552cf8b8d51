import Base
import Database
import Domain
import Environments
import Testing

@testable import Executions

/// What ran in an incarnation of an environment, when the server that saw its end died before it had told all of it.
@Suite struct EndedIncarnationTests {
    @Test func `it ends when the next server begins, and what runs in one that lives goes on`() async throws {
        try await ControlPlane.with { plane in
            var runs: [ExecutionID] = []
            for change in ["instance = instance + 1", "observed_state = 'stopped'", "instance = instance"] {
                let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
                _ = try await plane.environments.settled(id, organization: plane.organization, within: .seconds(30))
                runs.append(try await plane.executions.create(plane.command("sleep", environment: id)).execution.id)
                try await plane.database.write { connection in
                    try connection.executeScript("UPDATE environments SET \(change) WHERE id = '\(id.text)'")
                }
            }
            try await plane.restarted(time: SystemTime()).executions.recover()
            for run in runs.dropLast() {
                let ended = try await plane.execution(run)
                #expect(ended.state == .failed)
                #expect(ended.failure?.code == .environmentLost)
            }
            #expect(try await plane.execution(runs[2]).state == .assigned)
        }
    }
}
