import Base

/// The writer thread's work: transactions that wait at the same time share one commit, and so one fsync.
///
/// Each transaction of a group runs in its own savepoint; its task hears of its end only after the group's COMMIT, of a
/// failure too: it may come from what a neighbour wrote and nobody else can see yet.
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
        while let job = queue.next() {
            guard job.begin() else { continue }
            runGroup(startingWith: job)
        }
        queue.threadEnded()
    }

    private func runGroup(startingWith first: any DatabaseJob) {
        var waiting = [first]
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
            waiting = runTransaction(of: waiting)
        }
    }

    /// Runs and commits `jobs` and newcomers; returns those that have to run again.
    private func runTransaction(of jobs: [any DatabaseJob]) -> [any DatabaseJob] {
        let deadline = time.uptime + Self.gatheringTime
        var open = jobs[...]
        var done: [any DatabaseJob] = []
        var failed: [(job: any DatabaseJob, error: any Error)] = []
        while let job = open.popFirst() {
            do {
                try runInSavepoint(job)
                done.append(job)
            } catch {
                guard handle.isInTransaction else {
                    job.finish(error)
                    return done + failed.map(\.job) + open
                }
                if done.isEmpty { job.finish(error) } else { failed.append((job, error)) }
            }
            if open.isEmpty, done.count < groupLimit, time.uptime < deadline {
                open += queue.take(upTo: groupLimit - done.count).filter { $0.begin() }
            }
        }
        do {
            try commits.commit { try handle.control("COMMIT") }
        } catch {
            if handle.isInTransaction { try? handle.control("ROLLBACK") }
            return settleFailedCommit(of: done + failed.map(\.job), error)
        }
        for job in done { job.finish(nil) }
        for (job, error) in failed { job.finish(error) }
        return []
    }

    private func runInSavepoint(_ job: any DatabaseJob) throws {
        // Only reads are interrupted: SQLite answers an interrupted change by rolling the whole group back.
        let watcher = job.allowsWriting ? nil : StatementWatcher(job: job, time: time, limit: readLimit)
        let connection = SQLiteConnection(handle, allowsWriting: job.allowsWriting, watcher: watcher)
        handle.watch(watcher)
        defer {
            handle.watch(nil)
            connection.end()
        }
        try handle.control("SAVEPOINT one")
        do {
            try job.run(connection)
            if let failure = connection.failure { throw failure }
            try handle.control("RELEASE one")
        } catch {
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

    /// One transaction too large for the disk must not fail its neighbours: each gets a commit of its own.
    private func settleFailedCommit(of jobs: [any DatabaseJob], _ error: any Error) -> [any DatabaseJob] {
        guard jobs.count > 1 else {
            for job in jobs { job.finish(error) }
            return []
        }
        for job in jobs { runGroup(startingWith: job) }
        return []
    }
}
