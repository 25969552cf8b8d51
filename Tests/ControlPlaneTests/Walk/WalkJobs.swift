import Base
import Database
import Domain
import Environments
import Synchronization

/// The job queues of a walk: in memory, a turn given when the walk says so.
final class WalkJobs: EnvironmentJobs {
    private struct Key: Hashable {
        var subject: String
        var action: String
    }

    private struct Job: Sendable {
        var id: JobID
        var order: Int
        var organization: OrganizationID
        var queue: WorkQueue
        var wishes: Int64 = 1
        var attempt = 0
        var failures = 0
        var isActive = false
        var notBefore: Timestamp
    }

    private struct State {
        var jobs: [Key: Job] = [:]
        var count = 0
    }

    private let state = Mutex(State())
    private let time: any TimeSource
    private let ids: IDSource

    init(time: any TimeSource, ids: IDSource) {
        self.time = time
        self.ids = ids
    }

    /// The oldest job that is due, as its next turn.
    func next() -> JobClaim? {
        let now = time.now
        return state.withLock { state in
            let due = state.jobs.filter { !$0.value.isActive && $0.value.notBefore <= now }
            guard let (key, _) = due.min(by: { $0.value.order < $1.value.order }) else { return nil }
            state.jobs[key]?.isActive = true
            state.jobs[key]?.attempt += 1
            return state.jobs[key].map { claim($0, key) }
        }
    }

    private func claim(_ job: Job, _ key: Key) -> JobClaim {
        JobClaim(
            id: job.id,
            organizationID: job.organization,
            queue: job.queue,
            action: key.action,
            subject: key.subject,
            attempt: job.attempt,
            holder: JobHolder(replica: .alone, fence: 1),
            wishes: job.wishes,
            failures: job.failures
        )
    }

    private func active(_ claim: JobClaim, _ state: State) throws -> (Key, Job) {
        let key = Key(subject: claim.subject, action: claim.action)
        guard let job = state.jobs[key], job.isActive, job.attempt == claim.attempt, job.id == claim.id else {
            throw LostJob(claim.id)
        }
        return (key, job)
    }

    func ensure(
        _ queue: WorkQueue,
        _ action: String,
        subject: String,
        organization: OrganizationID,
        owner: UserID?,
        home: ReplicaID?,
        in connection: any SQLConnection
    ) throws {
        let now = time.now
        state.withLock { state in
            let key = Key(subject: subject, action: action)
            if state.jobs[key] != nil {
                state.jobs[key]?.wishes += 1
                return
            }
            state.count += 1
            state.jobs[key] = Job(
                id: ids.make(),
                order: state.count,
                organization: organization,
                queue: queue,
                notBefore: now
            )
        }
    }

    func check(_ claim: JobClaim, in connection: any SQLConnection) throws {
        _ = try state.withLock { try active(claim, $0) }
    }

    func place(_ subject: String, at home: ReplicaID, in connection: any SQLConnection) throws {}

    func complete(_ claim: JobClaim, in connection: any SQLConnection) throws -> JobClaim? {
        try state.withLock { state in
            let (key, job) = try active(claim, state)
            guard job.wishes == claim.wishes else { return self.claim(job, key) }
            state.jobs[key] = nil
            return nil
        }
    }

    func fail(_ claim: JobClaim, _ reason: FailureReason, isFinal: Bool, in transaction: FeedTransaction) throws
        -> Timestamp?
    {
        let now = time.now
        return try state.withLock { state in
            let (key, found) = try active(claim, state)
            var job = found
            job.failures += 1
            guard !isFinal, job.failures < policy(job.queue).maximumAttempts else {
                state.jobs[key] = nil
                return nil
            }
            job.isActive = false
            job.notBefore = now + .seconds(5)
            state.jobs[key] = job
            return job.notBefore
        }
    }

    func lose(_ claim: JobClaim, _ reason: FailureReason, in transaction: FeedTransaction) throws -> Timestamp? {
        try fail(claim, reason, isFinal: false, in: transaction)
    }

    func interrupt(_ subject: String, in connection: any SQLConnection) throws {}
    func interruptHere(_ subject: String) {}

    func isOpen(_ subject: String) async throws -> Bool {
        state.withLock { $0.jobs.keys.contains { $0.subject == subject } }
    }

    func openSubjects() async throws -> Set<String> { state.withLock { Set($0.jobs.keys.map(\.subject)) } }

    func policy(_ queue: WorkQueue) -> JobPolicy { queue.policy }
    func wake() {}
}
