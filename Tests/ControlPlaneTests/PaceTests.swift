import Base
import Domain
import Environments
import Executions
import Testing
import WorkerProtocol
import Workers

/// Not limits but a record: printed, with a bound far above what is measured.
@Suite struct PaceTests {
    @Test func `a warm execution costs few commits`() async throws {
        try await ControlPlane.with { plane in
            let worker = try await plane.standingWorker(slots: 8)
            let time = SystemTime()
            var samples: [Duration] = []
            var creates: [Duration] = []
            for index in 0..<100 {
                let start = time.uptime
                let id = try await plane.executions.create(plane.command("true")).execution.id
                creates.append(time.uptime - start)
                let key = try await worker.assignment(index).key
                try await worker.complete(key, ExecutionServiceTests.report())
                #expect(try await plane.execution(id).state == .completed)
                samples.append(time.uptime - start)
            }
            let median = samples.sorted()[50]
            print("pace: create \(creates.sorted()[50]), create to recorded end \(median)")
            #expect(median < .milliseconds(500))
        }
    }

    @Test func `an environment costs few commits`() async throws {
        try await ControlPlane.with { plane in
            let time = SystemTime()
            var samples: [Duration] = []
            for _ in 0..<30 {
                let start = time.uptime
                let id = try await plane.environments.create(NewEnvironmentFixture.make(plane)).id
                _ = try await plane.environments.settled(id, organization: plane.organization, within: .seconds(10))
                samples.append(time.uptime - start)
            }
            let median = samples.sorted()[15]
            print("pace: environment create to ready, without a provider \(median)")
            #expect(median < .milliseconds(500))
        }
    }
}
