import Base
import Database

/// A writer thread's work: transactions that wait at the same time share one commit, and so one flush of the server's log
/// and one hold of the rows that all of them change.
///
/// Each but the first runs in its own savepoint; its task hears of its end only after the COMMIT, of a failure too: it may
/// come from what a neighbour wrote and nobody else can see yet. A group that loses to another process, or whose
/// connection breaks, is undone as a whole, and each of its transactions runs again alone.
struct PostgresWriter {
    let configuration: PostgresConfiguration
    let queue: JobQueue
    let time: any TimeSource

    /// How long a group may still take in newcomers, so that the first in it is not kept waiting.
    private static let gatheringTime = Duration.milliseconds(5)

    func run() {
        let link = PostgresLink(configuration, .writer, time: time)
        let alone = PostgresLoneWriter(configuration: configuration, link: link, time: time)
        while let job = queue.next() {
            guard job.begin() else { continue }
            var waiting = [job]
            while !waiting.isEmpty {
                switch runTransaction(of: waiting, on: link) {
                case .ended(let left): waiting = left
                case .undone(let jobs):
                    for job in jobs { alone.run(job) }
                    waiting = []
                case .unknown(let jobs, let transactionID):
                    alone.settle(jobs, transactionID)
                    waiting = []
                }
            }
        }
        link.drop()
        queue.threadEnded()
    }

    private enum GroupEnd {
        /// The jobs that are still to run.
        case ended([any DatabaseJob])
        /// Nothing of the group remains in the database.
        case undone([any DatabaseJob])
        /// The connection broke in the COMMIT.
        case unknown([any DatabaseJob], String?)
    }

    private func runTransaction(of jobs: [any DatabaseJob], on link: PostgresLink) -> GroupEnd {
        let session: PostgresSession
        do {
            session = try PostgresSession(try link.open(), isWriting: true)
        } catch is ExchangeFailure {
            link.drop()
            return .undone(jobs)
        } catch {
            for job in jobs { job.finish(PostgresLink.error(error)) }
            return .ended([])
        }
        let deadline = time.uptime + Self.gatheringTime
        var open = jobs[...]
        var done: [any DatabaseJob] = []
        var failed: [(job: any DatabaseJob, error: any Error)] = []
        while let job = open.popFirst() {
            let isFirst = done.isEmpty && failed.isEmpty
            do {
                try Self.run(job, in: session, savepoint: !isFirst)
                done.append(job)
            } catch {
                let isWhole = isFirst || error is NeighbourFailure || Self.undoesAll(error)
                guard isWhole else {
                    session.post(PostgresCommand(sql: "ROLLBACK TO SAVEPOINT one"))
                    session.post(PostgresCommand(sql: "RELEASE SAVEPOINT one"))
                    failed.append((job, error))
                    continue
                }
                do { try session.rollBack() } catch { link.drop() }
                guard isFirst, !Self.undoesAll(error) else {
                    return .undone(done + failed.map(\.job) + [job] + open)
                }
                job.finish(error)
                return .ended(Array(open))
            }
            if open.isEmpty, done.count < configuration.groupLimit, time.uptime < deadline {
                open += queue.take(upTo: configuration.groupLimit - done.count).filter { $0.begin() }
            }
        }
        do {
            session.beginOwn()
            try session.commit()
        } catch {
            if case .lost? = (error as? ExchangeFailure)?.failure {
                link.drop()
                return .unknown(done + failed.map(\.job), session.transactionID)
            }
            do { try session.rollBack() } catch { link.drop() }
            return .undone(done + failed.map(\.job))
        }
        for job in done { job.finish(nil) }
        for (job, error) in failed { job.finish(error) }
        return .ended([])
    }

    static func run(_ job: any DatabaseJob, in session: PostgresSession, savepoint: Bool) throws {
        if savepoint { session.post(PostgresCommand(sql: "SAVEPOINT one")) }
        session.beginOwn()
        let connection = PostgresConnection(session, allowsWriting: job.allowsWriting, watch: nil)
        defer { connection.end() }
        do {
            try job.run(connection)
            if let failure = connection.failure { throw failure }
        } catch {
            throw Self.outward(error, connection)
        }
        if savepoint { session.post(PostgresCommand(sql: "RELEASE SAVEPOINT one")) }
    }

    /// What decides the transaction's fate: a failed statement's error, even where the closure threw another for it.
    private static func outward(_ error: any Error, _ connection: PostgresConnection) -> any Error {
        let error = connection.failure ?? error
        guard let exchange = error as? ExchangeFailure else { return error }
        switch exchange.failure {
        case .lost, .again: return exchange
        case .stopped, .readOnly, .refused: return exchange.failure.error
        }
    }

    /// The connection is gone, or the server has chosen this transaction to give way.
    static func undoesAll(_ error: any Error) -> Bool { error is ExchangeFailure || error is NeighbourFailure }
}
