public import Base

/// A topic of the event bus and what its partitions hold.
public struct BusTopicView: Sendable, Codable, Equatable {
    public var name: String
    public var partitions: [Partition]

    /// Offsets `first..<end`.
    public struct Partition: Sendable, Codable, Equatable {
        public var partition: Int
        public var first: Int64
        public var end: Int64

        public init(partition: Int, first: Int64, end: Int64) {
            self.partition = partition
            self.first = first
            self.end = end
        }
    }

    public init(name: String, partitions: [Partition]) {
        self.name = name
        self.partitions = partitions
    }
}

/// Where a consumer group stands in a partition.
public struct BusGroupView: Sendable, Codable, Equatable {
    public var group: String
    public var topic: String
    public var partition: Int
    /// The next offset that it reads; nil: it has committed none.
    public var committed: Int64?
    public var end: Int64
    public var lag: Int64

    public init(group: String, topic: String, partition: Int, committed: Int64?, end: Int64, lag: Int64) {
        self.group = group
        self.topic = topic
        self.partition = partition
        self.committed = committed
        self.end = end
        self.lag = lag
    }
}

/// A message; bytes that are no text are in the field with `Base64`.
public struct BusMessageView: Sendable, Codable, Equatable {
    public var topic: String
    public var partition: Int
    public var offset: Int64
    public var key: String?
    public var value: String?
    public var valueBase64: String?
    public var headers: [String: String]
    public var at: Timestamp?

    public init(topic: String, partition: Int, offset: Int64) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        headers = [:]
    }
}

public struct BusMessagePage: Sendable, Codable, Equatable {
    public var messages: [BusMessageView]
    /// Hand it back as `from` to go on.
    public var next: String

    public init(messages: [BusMessageView], next: String) {
        self.messages = messages
        self.next = next
    }
}

/// A message to publish.
public struct PublishMessage: Sendable, Codable, Equatable {
    public var key: String?
    public var value: String
    public var headers: [String: String]?

    public init(key: String?, value: String, headers: [String: String]? = nil) {
        self.key = key
        self.value = value
        self.headers = headers
    }
}

public struct PublishedMessage: Sendable, Codable, Equatable {
    public var topic: String

    public init(topic: String) { self.topic = topic }
}
