public import Base
import Database
public import Domain

// Looks at what runs: what is not well is told, and what can be repaired is.
extension EnvironmentService {
    /// A worker that is away for longer, while its instance runs, does not come back by itself.
    private static let patience = Duration.seconds(180)
    /// A look that found what the one before did is written down only so often.
    private static let noteEvery = Duration.seconds(300)

    /// Part of the reconciler, behind the look at the providers.
    func repair() async throws {
        let (now, times, replica) = (time.now, times, replica)
        let records = try await database.read { connection in
            try connection.rows(EnvironmentStore.inspected, replica).map {
                try EnvironmentStore.stored($0, times: times).record
            }
        }
        var notes: [(EnvironmentID, EnvironmentHealth)] = []
        for record in records where record.state == .running && record.desired == .running {
            let isThere = workers.isReady(environment: record.id, instance: record.instance)
            let since = activity.attend(record.id, instance: record.instance, isThere: isThere, at: now)
            let health = EnvironmentHealth(
                awaySince: since,
                resources: activity.entry(record.id)?.report.resources,
                limits: record.spec.limits
            )
            let isNews = health.problems != record.health?.problems
            if isNews || now >= (record.lastHealthCheckAt ?? record.createdAt) + Self.noteEvery {
                notes.append((record.id, health))
            }
            if isNews, !health.problems.isEmpty {
                let problems = health.problems.map(\.rawValue).joined(separator: ",")
                log.warning("environment is not well", ["environment_id": record.id, "problems": problems])
            }
            if let since, now >= since + Self.patience { try await startOver(record) }
        }
        guard !notes.isEmpty else { return }
        let found = try notes.map { ($0, try EnvironmentStore.text($1)) }
        try await database.write { connection in
            for (id, health) in found { try connection.run(EnvironmentStore.checked, id, now, health) }
        }
    }

    private func startOver(_ record: EnvironmentRecord) async throws {
        // Its executions are lost by their own rule first.
        guard try await openCount(in: record) == 0 else { return }
        let (now, number) = (time.now, record.instance)
        do {
            try await change(
                record.id,
                record.organizationID,
                message: "its worker stayed away while its instance ran: it is started again"
            ) { try $0.startOver(instance: number, at: now) }
            log.warning("environment is started again", ["environment_id": record.id])
        } catch let error as BerthError where [.notFound, .stale, .illegalTransition].contains(error.code) {
            log.debug("environment had moved on", ["environment_id": record.id])
        }
    }

    /// How many environments of this server are in each state, and since when the one that is longest.
    public func ages() async throws -> [(state: EnvironmentState, count: Int, since: Timestamp)] {
        let replica = replica
        return try await database.read { connection in
            try connection.rows(EnvironmentStore.ages, replica).map { row in
                (try row.value("observed_state"), try row.int("count"), try row.timestamp("since"))
            }
        }
    }
}
