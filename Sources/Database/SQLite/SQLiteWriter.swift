import Base

/// The writer thread's work: transactions that wait at the same time share one commit, and so one fsync.
///
/// A task hears of its transaction's end only after the group's COMMIT, of a failure too: it may come from what a neighbour
/// wrote and nobody else can see yet. Nothing marks where a transaction begins, because a savepoint copies every page that
/// is changed after it; so when one fails after it has written, the group is undone and runs again, each then
/// in a savepoint of its own.
/// When SQLite rolls a whole group back (disk full, I/O error), the transaction at fault fails and the others run again.
struct SQLiteWriter {
    let handle: SQLiteHandle
    let queue: JobQueue
    let commits: CommitCount
    let groupLimit: Int
    let readLimit: Duration
    let time: any TimeSource

    /// How long a group may still take in newcomers, so that the first in it is not kept waiting.
    private static let gatheringTime = Duration.milliseconds(5)

    func run() {
        var gathering = Gathering()
        while let job = queue.next() {
            guard job.begin() else { continue }
            runGroup(startingWith: job, &gathering)
        }
        queue.threadEnded()
    }

    private func runGroup(startingWith first: any DatabaseJob, _ gathering: inout Gathering) {
        var waiting = [first]
        var isGuarded = false
        var attempts = 0
        while !waiting.isEmpty {
            do {
                try handle.control("BEGIN IMMEDIATE")
            } catch {
                // Busy beyond the waiting time is no reason to fail at once: another program may be in a long commit.
                attempts += 1
                if attempts < 3, BerthError(wrapping: error).code == .unavailable { continue }
                for job in waiting { job.finish(error) }
                return
            }
            (waiting, isGuarded) = runTransaction(of: waiting, guarded: isGuarded, &gathering)
        }
    }

    /// Runs and commits `jobs` and newcomers; returns those that have to run again, and whether in savepoints.
    private func runTransaction(
        of jobs: [any DatabaseJob],
        guarded: Bool,
        _ gathering: inout Gathering
    ) -> (jobs: [any DatabaseJob], guarded: Bool) {
        let deadline = time.uptime + Self.gatheringTime
        let group = TransactionGroup()
        var open = jobs[...]
        var done: [any DatabaseJob] = []
        var failed: [(job: any DatabaseJob, error: any Error)] = []
        while let job = open.popFirst() {
            do {
                if guarded { try runInSavepoint(job, group) } else { try run(job, group) }
                done.append(job)
            } catch let error as UndoneGroup {
                try? handle.control("ROLLBACK")
                guard done.isEmpty else { return (done + failed.map(\.job) + [job] + open, true) }
                job.finish(error.reason)
                return (failed.map(\.job) + open, false)
            } catch {
                guard handle.isInTransaction else {
                    job.finish(error)
                    return (done + failed.map(\.job) + open, guarded)
                }
                if done.isEmpty { job.finish(error) } else { failed.append((job, error)) }
            }
            if open.isEmpty, done.count < groupLimit, time.uptime < deadline {
                let patience = gathering.patience(having: done.count)
                open += queue.take(upTo: groupLimit - done.count, patience: patience).filter { $0.begin() }
            }
        }
        let began = time.uptime
        do {
            try close(group)
            try commits.commit { try handle.control("COMMIT") }
        } catch {
            if handle.isInTransaction { try? handle.control("ROLLBACK") }
            return (settleFailedCommit(of: done + failed.map(\.job), error, &gathering), false)
        }
        gathering.committed(done.count, in: time.uptime - began)
        for job in done { job.finish(nil) }
        for (job, error) in failed { job.finish(error) }
        return ([], false)
    }

    private func close(_ group: TransactionGroup) throws {
        let connection = SQLiteConnection(handle, allowsWriting: true, watcher: nil)
        defer { connection.end() }
        try group.close(on: connection)
    }

    /// Throws `UndoneGroup` when it failed and has left something behind.
    private func run(_ job: any DatabaseJob, _ group: TransactionGroup) throws {
        let mark = group.mark
        try withConnection(for: job, group) { connection in
            do {
                try job.run(connection)
                if let failure = connection.failure { throw failure }
            } catch {
                group.forget(from: mark)
                guard connection.hasWritten, handle.isInTransaction else { throw error }
                throw UndoneGroup(reason: error)
            }
        }
    }

    private func runInSavepoint(_ job: any DatabaseJob, _ group: TransactionGroup) throws {
        let mark = group.mark
        try withConnection(for: job, group) { connection in
            try handle.control("SAVEPOINT one")
            do {
                try job.run(connection)
                if let failure = connection.failure { throw failure }
                try handle.control("RELEASE one")
            } catch {
                group.forget(from: mark)
                if handle.isInTransaction {
                    do {
                        try handle.control("ROLLBACK TO one")
                        try handle.control("RELEASE one")
                    } catch {
                        try? handle.control("ROLLBACK")
                    }
                }
                throw error
            }
        }
    }

    private func withConnection(
        for job: any DatabaseJob,
        _ group: TransactionGroup,
        _ body: (SQLiteConnection) throws -> Void
    ) throws {
        // Only reads are interrupted: SQLite answers an interrupted change by rolling the whole group back.
        let watcher = job.allowsWriting ? nil : StatementWatcher(job: job, time: time, limit: readLimit)
        let connection = SQLiteConnection(handle, allowsWriting: job.allowsWriting, watcher: watcher, group: group)
        handle.watch(watcher)
        defer {
            handle.watch(nil)
            connection.end()
        }
        try body(connection)
    }

    /// A transaction failed that had written without a savepoint.
    private struct UndoneGroup: Error {
        let reason: any Error
    }

    /// One transaction too large for the disk must not fail its neighbours: each gets a commit of its own.
    private func settleFailedCommit(
        of jobs: [any DatabaseJob],
        _ error: any Error,
        _ gathering: inout Gathering
    ) -> [any DatabaseJob] {
        guard jobs.count > 1 else {
            for job in jobs { job.finish(error) }
            return []
        }
        for job in jobs { runGroup(startingWith: job, &gathering) }
        return []
    }
}
