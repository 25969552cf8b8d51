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
                let group = TransactionGroup()
                do {
                    try PostgresWriter.run(job, in: session, group, flushes: true)
                } catch {
                    do { try session.rollBack() } catch { link.drop() }
                    throw (error as? JobFailure)?.reason ?? error
                }
                return try commit(job, session, group)
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
                // The closure's own, which its caller knows.
                return job.finish(error)
            }
        }
    }

    private func commit(_ job: any DatabaseJob, _ session: PostgresSession, _ group: TransactionGroup) throws {
        do {
            try session.commit(group)
            job.finish(nil)
        } catch {
            guard case .lost? = (error as? ExchangeFailure)?.failure else {
                do { try session.rollBack() } catch { link.drop() }
                throw error
            }
            link.drop()
            settle([job], session.mark)
        }
    }

    /// Finds out whether a COMMIT came through before its connection was lost, and acts on it.
    /// - Parameter failed: those of the group that have failed by themselves, and have nothing to hear of a commit but that.
    func settle(_ jobs: [any DatabaseJob], failed: [FailedJob] = [], _ mark: TransactionMark?) {
        switch mark.map(outcome(of:)) ?? .undone {
        case .committed:
            for job in jobs { job.finish(nil) }
            for failure in failed { failure.job.finish(failure.error) }
        case .undone: for job in jobs + failed.map(\.job) { run(job) }
        case .unknown:
            let error = PostgresError.unknownOutcome("transaction \(mark?.id ?? "")")
            for job in jobs + failed.map(\.job) { job.finish(error) }
        }
    }

    private enum Outcome { case committed, undone, unknown }

    private func outcome(of mark: TransactionMark) -> Outcome {
        let deadline = time.uptime + configuration.settleLimit
        while time.uptime < deadline {
            do {
                switch try status(of: mark) {
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

    private func status(of mark: TransactionMark) throws -> String? {
        let handle = try link.open()
        if handle.serverRun != mark.run {
            switch try handle.text(TransactionMark.recoveredQuery, mark.position) {
            case "known": break
            case "lost": return "aborted"
            default: return nil
            }
        }
        return try handle.text(TransactionMark.statusQuery, mark.id)
    }
}
