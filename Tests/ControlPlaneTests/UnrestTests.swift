import Base
import Database
import Domain
import Environments
import Executions
import Synchronization
import Testing
import WorkerProtocol

@testable import Workers

/// Everything at once: a provider that breaks now and then, workers that come and go, people who change their mind.
@Suite struct UnrestTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func `amid faults every execution ends once and every environment gets where it is wanted`(_ seed: UInt64)
        async throws
    {
        try await ControlPlane.with { plane in
            let randomness = SeededRandomness(seed: seed)
            var environments: [EnvironmentID] = []
            for _ in 0..<4 {
                environments.append(try await plane.environments.create(NewEnvironmentFixture.make(plane)).id)
            }
            var runs: [ExecutionID] = []
            let (organization, user) = (plane.organization, plane.user)
            for _ in 0..<150 {
                let environment = environments[Int(randomness.next() % 4)]
                do {
                    switch randomness.next() % 10 {
                    case 0:
                        _ = try await plane.environments.stop(
                            environment,
                            organization: organization,
                            by: user,
                            visibleTo: user
                        )
                    case 1:
                        _ = try await plane.environments.pause(
                            environment,
                            organization: organization,
                            by: user,
                            visibleTo: user
                        )
                    case 2:
                        _ = try await plane.environments.start(
                            environment,
                            organization: organization,
                            by: user,
                            visibleTo: user
                        )
                    case 3:
                        plane.instances.fail(
                            ["create", "start", "stop", "pause", "resume"][Int(randomness.next() % 5)]
                        )
                    case 4:
                        plane.instances.set(environment, .stopped)
                        try await plane.environments.reconcile()
                    case 5:
                        _ = try await plane.environments.retry(
                            environment,
                            organization: organization,
                            by: user,
                            visibleTo: user
                        )
                    case 6 where !runs.isEmpty:
                        let run = runs[Int(randomness.next() % UInt64(runs.count))]
                        _ = try await plane.executions.cancel(
                            run,
                            organization: organization,
                            by: user,
                            visibleTo: user
                        )
                    default:
                        runs.append(
                            try await plane.executions.create(plane.command("true", environment: environment))
                                .execution.id
                        )
                    }
                } catch let error as BerthError
                    where [.conflict, .illegalTransition, .stale].contains(error.code)
                {
                    continue
                }
            }
            // Peace: no more faults; whatever is in error is retried, what still runs is ended with its environment.
            plane.instances.state.withLock { $0.failing = [:] }
            for environment in environments {
                _ = try await plane.environments.destroy(
                    environment,
                    organization: organization,
                    by: user,
                    visibleTo: user
                )
            }
            for environment in environments {
                let record = try await plane.environments.settled(
                    environment,
                    organization: organization,
                    within: .seconds(20)
                )
                if record.state == .error {
                    _ = try await plane.environments.retry(
                        environment,
                        organization: organization,
                        by: user,
                        visibleTo: user
                    )
                    _ = try await plane.environments.settled(
                        environment,
                        organization: organization,
                        within: .seconds(20)
                    )
                }
                #expect(plane.instances.condition(environment) == nil)
            }
            for run in runs {
                let record = try await plane.execution(run) { $0.state.isTerminal }
                let ends = try await plane.executions.history(run, organization: organization).filter { event in
                    ["completed", "failed", "cancelled", "timedOut"].contains(
                        event.type.split(separator: ".").last ?? ""
                    )
                }
                #expect(ends.count == 1, "\(record.id) is \(record.state)")
            }
            let accepted = try await plane.database.read { connection in
                try connection.first(
                    "SELECT COUNT(*) AS count FROM execution_attempts WHERE ended_at IS NULL"
                )?.int("count")
            }
            #expect(accepted == 0, "no attempt is left open")
        }
    }
}
