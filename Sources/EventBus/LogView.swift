/// Topics of one partition that are not stored as messages: they are read from rows that are there anyway. Offsets rise
/// and may leave numbers out, as those of a compacted Kafka topic do.
public protocol LogView: Sendable {
    func topics() async throws -> [String]
    /// Whether a topic of this name is one of its own.
    func contains(_ topic: String) -> Bool
    func bounds(of topic: String) async throws -> PartitionStatus
    /// Messages from `offset` on, and the offset at which to go on, which may be further even when there are none.
    func read(_ topic: String, from offset: Int64, limit: Int) async throws -> (messages: [BusMessage], next: Int64)
}
