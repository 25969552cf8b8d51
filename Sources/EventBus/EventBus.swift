/// Topics with partitions, offsets and consumer groups: a log in the control-plane database, or Kafka.
///
/// Errors of every call, as `BerthError`: `unavailable` (retryable) while the broker or the database is gone; any other is
/// the topic's or the message's: `notFound` for a topic that is not there, `forbidden` for one that this client may not
/// use, `tooLarge` for a message that the broker does not take.
public protocol EventBus: Sendable {
    /// What this is, for people: `embedded`, `kafka`.
    var kind: String { get }

    /// Names the log in which an offset means what it says: Kafka's own id of the cluster.
    func cluster() async throws -> String

    /// Makes those that are not there yet.
    func ensure(_ topics: [String]) async throws

    /// Returns when every message is stored for good: on disk, or by all replicas in sync. After an error some may be
    /// stored and others not; publishing all of them again loses none.
    func publish(_ messages: [OutgoingMessage]) async throws

    /// Joins a group. It begins at the oldest message where the group has committed none.
    func consumer(group: String, of topics: TopicSelection) async throws -> any BusConsumer

    /// Those whose names are wanted, by name.
    func topics(where isWanted: @escaping @Sendable (String) -> Bool) async throws -> [TopicStatus]

    /// Where a group stands in every partition of these topics; nil: every group that the bus can name.
    func positions(of group: String?, in topics: [String]) async throws -> [GroupPosition]

    /// Up to `limit` messages of these partitions from their offsets on (the oldest one where that is gone), without a
    /// group; waits for the first one at most `wait`.
    func read(_ topic: String, from positions: [Int32: Int64], limit: Int, wait: Duration) async throws -> [BusMessage]

    func close() async
}

/// A member of a consumer group. One task at a time may use it.
public protocol BusConsumer: Sendable {
    /// Messages of the partitions that are this member's now, in order for each; waits for the first one at most `wait`.
    /// At most `limit`, fewer when they are large.
    func poll(limit: Int, wait: Duration) async throws -> [BusMessage]

    /// The group has done with `message` and all before it in its partition. Throws `stale` when the partition is
    /// another member's by now.
    func commit(_ message: BusMessage) async throws

    /// Leaves the group.
    func close() async
}
