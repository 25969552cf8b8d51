import Base

/// A reader thread's work: each closure in a snapshot of its own.
struct SQLiteReader {
    let configuration: SQLiteConfiguration
    let queue: JobQueue
    let time: any TimeSource

    func run() {
        var handle: SQLiteHandle?
        while let job = queue.next() {
            guard job.begin() else { continue }
            do {
                let open = try handle ?? SQLiteHandle(configuration, cacheKiB: configuration.readerCacheKiB)
                handle = open
                try runSnapshot(job, on: open)
                job.finish(nil)
            } catch {
                job.finish(error)
            }
        }
        handle = nil
        queue.threadEnded()
    }

    private func runSnapshot(_ job: any DatabaseJob, on handle: SQLiteHandle) throws {
        let watcher = StatementWatcher(job: job, time: time, limit: configuration.readLimit)
        let connection = SQLiteConnection(handle, allowsWriting: false, watcher: watcher)
        handle.watch(watcher)
        defer {
            handle.watch(nil)
            connection.end()
        }
        try handle.control("BEGIN")
        do {
            try job.run(connection)
            if let failure = connection.failure { throw failure }
        } catch {
            if handle.isInTransaction { try? handle.control("ROLLBACK") }
            throw error
        }
        try handle.control("COMMIT")
    }
}
