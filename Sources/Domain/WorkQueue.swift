public import Base

/// The queues of the control plane, as documented.
public enum WorkQueue: String, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case provision = "vm-provision"
    case control = "vm-control"

    public var description: String { rawValue }

    public var policy: JobPolicy {
        switch self {
        case .provision: JobPolicy(concurrency: 2, maximumAttempts: 3, firstWait: .seconds(5), kept: 100)
        case .control: JobPolicy(concurrency: 5, maximumAttempts: 2, firstWait: .seconds(2), kept: 50)
        }
    }
}

public enum JobState: String, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// Waits for its turn, or for the time of its next try.
    case queued
    case active
    case completed
    /// Every try that its queue allows was used, or one found that no other would help.
    case failed

    public var description: String { rawValue }
}

/// How a queue's jobs are run.
public struct JobPolicy: Sendable, Equatable {
    /// At the same time in one server.
    public var concurrency: Int
    public var maximumAttempts: Int
    /// Before the second try; doubled before each further one.
    public var firstWait: Duration
    /// Completed jobs that are kept of an organization, and as many that failed.
    public var kept: Int

    public init(concurrency: Int, maximumAttempts: Int, firstWait: Duration, kept: Int) {
        self.concurrency = concurrency
        self.maximumAttempts = maximumAttempts
        self.firstWait = firstWait
        self.kept = kept
    }

    /// - Parameters:
    ///   - failures: 1 or more.
    ///   - fraction: random, 0..<1; takes up to a fifth off the wait, so that what failed together is not tried together.
    func wait(after failures: Int, fraction: Double) -> Duration {
        firstWait * (1 << min(max(0, failures - 1), 20)) * (1 - 0.2 * fraction)
    }
}

/// Which server's turn a job has: its id, and the number of its registration.
public struct JobHolder: Sendable, Equatable {
    public var replica: ReplicaID
    public var fence: Int64

    public init(replica: ReplicaID, fence: Int64) {
        self.replica = replica
        self.fence = fence
    }
}

/// A job that is being run; every write for it carries this.
public struct JobClaim: Sendable, Equatable {
    public var id: JobID
    public var organizationID: OrganizationID
    public var queue: WorkQueue
    public var action: String
    /// Id of the thing that it is about.
    public var subject: String
    /// Counts the turns that it was given: the fence.
    public var attempt: Int
    public var holder: JobHolder
    /// How often it had been asked for when it was last looked at.
    public var wishes: Int64
    /// Tries that have failed before.
    public var failures: Int

    public init(
        id: JobID,
        organizationID: OrganizationID,
        queue: WorkQueue,
        action: String,
        subject: String,
        attempt: Int,
        holder: JobHolder,
        wishes: Int64,
        failures: Int
    ) {
        self.id = id
        self.organizationID = organizationID
        self.queue = queue
        self.action = action
        self.subject = subject
        self.attempt = attempt
        self.holder = holder
        self.wishes = wishes
        self.failures = failures
    }
}

/// The claim is no longer the job's: another server has its turn, or it is over. What was to be written is not.
public struct LostJob: Error {
    public let id: JobID

    public init(_ id: JobID) { self.id = id }
}
