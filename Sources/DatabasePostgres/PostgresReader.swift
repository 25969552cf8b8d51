import Base
import Database

/// A reader thread's work: each closure in a snapshot of its own (REPEATABLE READ), a lookup as one statement.
struct PostgresReader {
    let configuration: PostgresConfiguration
    let queue: JobQueue
    let time: any TimeSource

    func run() {
        let link = PostgresLink(configuration, .reader, time: time)
        while let job = queue.next() {
            if job.begin() { run(job, link) }
        }
        link.drop()
        queue.threadEnded()
    }

    private func run(_ job: any DatabaseJob, _ link: PostgresLink) {
        // A connection that died while nobody used it is found out by its first use.
        for isLastTry in [false, true] {
            do {
                let session = try runSnapshot(job, on: try link.open())
                job.finish(nil)
                do { try session.release() } catch { link.drop() }
                return
            } catch {
                link.drop()
                if !isLastTry, let failure = (error as? ExchangeFailure)?.failure {
                    switch failure {
                    case .lost, .again: continue
                    case .stopped, .readOnly, .refused: break
                    }
                }
                return job.finish(error is CancellationError ? error : PostgresLink.error(error))
            }
        }
    }

    private func runSnapshot(_ job: any DatabaseJob, on handle: PostgresHandle) throws -> PostgresSession {
        let watch = PostgresWatch(job: job, deadline: time.uptime + configuration.readLimit)
        let session = try PostgresSession(handle, isWriting: false, isLookup: job.isLookup)
        let connection = PostgresConnection(session, allowsWriting: false, watch: watch)
        defer { connection.end() }
        try job.run(connection)
        if let failure = connection.failure { throw failure }
        return session
    }
}
