/// Mistakes that are planted to see them caught. They live in the simulation alone: in the model of the server, in the
/// simulated worker, or in what is wrapped around the shipped services.
package enum Mistake: String, Sendable, CaseIterable {
    /// A worker's word counts for whatever attempt is current.
    case dropTheFence
    /// Bytes are acknowledged that are not stored yet.
    case acknowledgeBeforeStoring
    /// The end is told, and the database's commit comes later.
    case forgetToSync
    /// A new attempt gets the number of the last one.
    case reuseAttemptNumber
    /// After a restart nobody counts for how long a worker may stay away.
    case deadlineNotRearmed
    /// Bytes of a second attempt are taken for the first's.
    case dedupeByExecution
    /// A second end overwrites the first.
    case endAcceptedTwice
    case resumeFromWrongOffset
    /// A cancel of a worker that is away is never sent again.
    case cancelLostOnReconnect
    /// What had started is queued again whatever its policy.
    case retryAfterStart
    /// An attempt that ends keeps its slot.
    case slotLeaked
    /// A worker that lost its server goes on.
    case neverFencesItself
}
