import Base
import Database
import Domain
import Environments
import Jobs

// The job queues and what they drive.
extension Composition {
    static func jobs(
        _ database: any SQLDatabase,
        _ seat: ReplicaSeat,
        _ ids: IDSource,
        _ randomness: any Randomness,
        time: any TimeSource,
        log: Log
    ) -> JobService {
        JobService(database: database, seat: seat, time: time, ids: ids, randomness: randomness, log: log)
    }

    func addJobs(to group: inout ThrowingTaskGroup<Void, any Error>) {
        group.addTask { [self] in try await keeping("idle") { try await core.environments.runIdle() } }
        guard core.configuration.role.runsJobs else { return }
        group.addTask { [self] in
            // Sockets first: workers that lived on come back before their absence counts.
            await links.reopen(in: environmentsPath)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await keeping("environments") { try await core.environments.run() } }
                group.addTask { try await keeping("jobs") { try await core.jobs.run(core.environments) } }
                try await group.waitForAll()
            }
        }
    }
}
