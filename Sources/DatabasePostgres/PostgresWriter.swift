import Base
import Database

/// A writer thread's work: transactions that wait at the same time share one commit, and so one flush of the server's log
/// and one hold of the rows that all of them change.
///
/// A task hears of its transaction's end only after the COMMIT, of a failure too: it may come from what a neighbour wrote
/// and nobody else can see yet. Nothing marks where a transaction begins: what is posted goes in one round trip for all of
/// them. When one fails after it has written, the group is undone and runs again, each then in a savepoint and a
/// round trip of its own. A group that loses to another process, or whose connection breaks, is undone as a whole, and each
/// of its transactions runs again alone.
struct PostgresWriter {
    let configuration: PostgresConfiguration
    let queue: JobQueue
    let time: any TimeSource

    /// How long a group may still take in newcomers, so that the first in it is not kept waiting.
    private static let gatheringTime = Duration.milliseconds(5)

    func run() {
        let link = PostgresLink(configuration, .writer, time: time)
        let alone = PostgresLoneWriter(configuration: configuration, link: link, time: time)
        var gathering = Gathering()
        while let job = queue.next() {
            guard job.begin() else { continue }
            var waiting = [job]
            var isGuarded = false
            while !waiting.isEmpty {
                switch runTransaction(of: waiting, on: link, guarded: isGuarded, &gathering) {
                case .ended(let left): (waiting, isGuarded) = (left, false)
                case .failed(let jobs): (waiting, isGuarded) = (jobs, true)
                case .undone(let jobs):
                    for job in jobs { alone.run(job) }
                    waiting = []
                case .unknown(let done, let failed, let mark):
                    alone.settle(done, failed: failed, mark)
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
        /// One of them failed, and nothing of the group remains in the database: to be run again with savepoints.
        case failed([any DatabaseJob])
        /// Nothing of the group remains in the database.
        case undone([any DatabaseJob])
        /// The connection broke in the COMMIT.
        case unknown(done: [any DatabaseJob], failed: [FailedJob], TransactionMark?)
    }

    private func runTransaction(
        of jobs: [any DatabaseJob],
        on link: PostgresLink,
        guarded: Bool,
        _ gathering: inout Gathering
    ) -> GroupEnd {
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
        let group = TransactionGroup()
        var open = jobs[...]
        var done: [any DatabaseJob] = []
        var failed: [FailedJob] = []
        while let job = open.popFirst() {
            let isFirst = done.isEmpty && failed.isEmpty
            let mark = group.mark
            do {
                try Self.run(job, in: session, group, savepoint: guarded && !isFirst, flushes: guarded)
                done.append(job)
            } catch {
                group.forget(from: mark)
                let failure = error as? JobFailure
                let reason = failure?.reason ?? error
                if failure?.hasWritten == false {
                    failed.append(FailedJob(job: job, error: reason))
                } else if guarded, !isFirst, !Self.undoesAll(reason), !(reason is NeighbourFailure) {
                    session.post(PostgresCommand(sql: "ROLLBACK TO SAVEPOINT one"))
                    session.post(PostgresCommand(sql: "RELEASE SAVEPOINT one"))
                    failed.append(FailedJob(job: job, error: reason))
                } else {
                    do { try session.rollBack() } catch { link.drop() }
                    let all = done + failed.map(\.job) + [job] + open
                    guard !Self.undoesAll(reason), !guarded || isFirst else { return .undone(all) }
                    guard isFirst, guarded || !(reason is NeighbourFailure) else { return .failed(all) }
                    job.finish(reason)
                    return .ended(Array(open))
                }
            }
            if open.isEmpty, done.count < configuration.groupLimit, time.uptime < deadline {
                let patience = gathering.patience(having: done.count)
                open += queue.take(upTo: configuration.groupLimit - done.count, patience: patience)
                    .filter { $0.begin() }
            }
        }
        let began = time.uptime
        do {
            try session.commit(group)
        } catch {
            if case .lost? = (error as? ExchangeFailure)?.failure {
                link.drop()
                return .unknown(done: done, failed: failed, session.mark)
            }
            do { try session.rollBack() } catch { link.drop() }
            let all = done + failed.map(\.job)
            return guarded || all.count == 1 || error is ExchangeFailure ? .undone(all) : .failed(all)
        }
        gathering.committed(done.count, in: time.uptime - began)
        for job in done { job.finish(nil) }
        for failure in failed { failure.job.finish(failure.error) }
        return .ended([])
    }

    /// Throws `JobFailure`.
    /// - Parameter flushes: what it posted has run when this returns, so that its failures are its own.
    static func run(
        _ job: any DatabaseJob,
        in session: PostgresSession,
        _ group: TransactionGroup,
        savepoint: Bool = false,
        flushes: Bool
    ) throws {
        if savepoint { session.post(PostgresCommand(sql: "SAVEPOINT one")) }
        session.beginOwn()
        let connection = PostgresConnection(
            session,
            allowsWriting: job.allowsWriting,
            watch: nil,
            group: group,
            sharesRows: !flushes
        )
        defer { connection.end() }
        do {
            try job.run(connection)
            if let failure = connection.failure { throw failure }
            if savepoint { session.post(PostgresCommand(sql: "RELEASE SAVEPOINT one")) }
            if flushes { try session.flush() }
        } catch {
            let hasWritten = flushes || connection.hasWritten || connection.failure != nil
            throw JobFailure(reason: Self.outward(connection.failure ?? error), hasWritten: hasWritten)
        }
    }

    /// What decides the transaction's fate: a failed statement's error, even where the closure threw another for it.
    private static func outward(_ error: any Error) -> any Error {
        guard let exchange = error as? ExchangeFailure else { return error }
        switch exchange.failure {
        case .lost, .again: return exchange
        case .stopped, .readOnly, .refused: return exchange.failure.error
        }
    }

    /// The connection is gone, or the server has chosen this transaction to give way.
    private static func undoesAll(_ error: any Error) -> Bool { error is ExchangeFailure }
}

/// One that failed by itself in a group that goes on. It may have failed by what a neighbour wrote, so it hears of it with
/// the commit.
struct FailedJob {
    var job: any DatabaseJob
    var error: any Error
}

/// How a transaction's closure ended.
struct JobFailure: Error {
    var reason: any Error
    /// Something may be left that has to be undone.
    var hasWritten: Bool
}
