import Base
import Database

/// Transactions one by one: those that share no group, because theirs was undone.
struct PostgresLoneWriter {
    let configuration: PostgresConfiguration
    let link: PostgresLink
    let time: any TimeSource

    /// Runs until it is committed, fails by itself, or has lost to others for `busyLimit`.
    func run(_ job: any DatabaseJob) {
        let deadline = time.uptime + configuration.busyLimit
        var wait = Duration.milliseconds(5)
        var losses = 0
        while true {
            do {
                let session = try PostgresSession(try link.open(), isWriting: true)
                do {
                    try PostgresWriter.run(job, in: session, savepoint: false)
                } catch {
                    do { try session.rollBack() } catch { link.drop() }
                    throw error
                }
                return try commit(job, session)
            } catch let error as ExchangeFailure {
                switch error.failure {
                case .again where time.uptime < deadline:
                    pause(wait)
                    wait = min(wait * 2, .milliseconds(200))
                case .lost where losses < 2:
                    link.drop()
                    losses += 1
                default: return job.finish(error.failure.error)
                }
            } catch {
                return job.finish(PostgresLink.error(error))
            }
        }
    }

    private func commit(_ job: any DatabaseJob, _ session: PostgresSession) throws {
        do {
            try session.commit()
            job.finish(nil)
        } catch {
            guard case .lost? = (error as? ExchangeFailure)?.failure else {
                do { try session.rollBack() } catch { link.drop() }
                throw error
            }
            link.drop()
            settle([job], session.transactionID)
        }
    }

    /// Finds out whether a COMMIT came through before its connection was lost, and acts on it.
    func settle(_ jobs: [any DatabaseJob], _ transactionID: String?) {
        switch transactionID.map(outcome(of:)) ?? .undone {
        case .committed: for job in jobs { job.finish(nil) }
        case .undone: for job in jobs { run(job) }
        case .unknown:
            let error = PostgresError.unknownOutcome("transaction \(transactionID ?? "")")
            for job in jobs { job.finish(error) }
        }
    }

    private enum Outcome { case committed, undone, unknown }

    private func outcome(of transactionID: String) -> Outcome {
        let deadline = time.uptime + configuration.settleLimit
        while time.uptime < deadline {
            do {
                switch try status(of: transactionID) {
                case "committed": return .committed
                case "aborted": return .undone
                // Its process in the server has not noticed yet.
                case "in progress": pause(.milliseconds(20))
                default: return .unknown
                }
            } catch {
                if case .refused? = (error as? ExchangeFailure)?.failure { return .unknown }
                link.drop()
                pause(.milliseconds(50))
            }
        }
        return .unknown
    }

    private func status(of transactionID: String) throws -> String? {
        let handle = try link.open()
        let results = try handle.exchange([PostgresCommand(sql: Self.statusOf, values: [.text(transactionID)])])
        guard let result = results.first, result.rowCount == 1 else { return nil }
        return try result.row(0, handle.columns(of: Self.statusOf, result)).optionalText("status")
    }

    private static let statusOf: SQL = "SELECT pg_xact_status(CAST(CAST($1 AS TEXT) AS xid8)) AS status"
}
