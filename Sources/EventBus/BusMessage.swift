public import Base

/// A header of a message: bytes under a name, which may come more than once.
public struct BusHeader: Sendable, Equatable {
    public var name: String
    public var value: [UInt8]

    public init(_ name: String, _ value: [UInt8]) {
        self.name = name
        self.value = value
    }

    public init(_ name: String, text: String) { self.init(name, Array(text.utf8)) }
}

/// A message to publish. Messages of one topic with the same key keep their order.
public struct OutgoingMessage: Sendable, Equatable {
    public var topic: String
    public var key: [UInt8]?
    public var value: [UInt8]?
    public var headers: [BusHeader]

    public init(topic: String, key: [UInt8]?, value: [UInt8]?, headers: [BusHeader] = []) {
        self.topic = topic
        self.key = key
        self.value = value
        self.headers = headers
    }
}

/// A message as it stands in its topic.
public struct BusMessage: Sendable, Equatable {
    public var topic: String
    public var partition: Int32
    public var offset: Int64
    public var key: [UInt8]?
    public var value: [UInt8]?
    public var headers: [BusHeader]
    /// As its producer or the broker says it; nil: neither did.
    public var at: Timestamp?

    public init(
        topic: String,
        partition: Int32,
        offset: Int64,
        key: [UInt8]?,
        value: [UInt8]?,
        headers: [BusHeader] = [],
        at: Timestamp?
    ) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.key = key
        self.value = value
        self.headers = headers
        self.at = at
    }
}

/// A topic's partition and what it holds: offsets `first..<end`.
public struct PartitionStatus: Sendable, Equatable, Codable {
    public var partition: Int32
    public var first: Int64
    public var end: Int64

    public init(partition: Int32, first: Int64, end: Int64) {
        self.partition = partition
        self.first = first
        self.end = end
    }
}

public struct TopicStatus: Sendable, Equatable {
    public var name: String
    public var partitions: [PartitionStatus]

    public init(name: String, partitions: [PartitionStatus]) {
        self.name = name
        self.partitions = partitions
    }
}

/// Where a consumer group stands in one partition.
public struct GroupPosition: Sendable, Equatable {
    public var group: String
    public var topic: String
    public var partition: Int32
    /// The next offset to read; nil: it has committed none.
    public var committed: Int64?
    public var end: Int64
    /// Messages before `end` that it has not committed.
    public var lag: Int64

    public init(group: String, topic: String, partition: Int32, committed: Int64?, first: Int64, end: Int64) {
        self.group = group
        self.topic = topic
        self.partition = partition
        self.committed = committed
        self.end = end
        lag = max(0, end - max(committed ?? first, first))
    }
}
