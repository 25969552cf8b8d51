public import Base
public import Domain

/// Who does the work of jobs; wired by the composition root.
public protocol JobHandler: Sendable {
    /// Does what the job's subject needs now, and records the end with the claim: completed, or failed. Every write carries
    /// the claim. What is thrown, except `LostJob`, counts as a failure of the turn.
    /// - Parameter interruption: rung when somebody wants to break into it.
    func run(_ claim: JobClaim, interruption: Wakeup) async throws

    /// Records with the claim that its server went away.
    func lost(_ claim: JobClaim, _ reason: FailureReason) async throws
}
