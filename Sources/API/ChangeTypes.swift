public import Base

/// One entry of the feed.
public struct Change: Sendable, Codable, Equatable {
    /// Dense within the organization; hand the last one back as `?after=`.
    public var sequence: Int64
    /// Past tense, such as `environment.started`.
    public var type: String
    public var subject: String
    public var payload: JSONValue
    public var at: Timestamp

    public init(sequence: Int64, type: String, subject: String, payload: JSONValue, at: Timestamp) {
        self.sequence = sequence
        self.type = type
        self.subject = subject
        self.payload = payload
        self.at = at
    }
}

public struct ChangePage: Sendable, Codable, Equatable {
    public var changes: [Change]
    /// Position behind what this page covers.
    public var nextAfter: Int64
    /// The first number that is kept; one more than `last` when none is.
    public var oldest: Int64
    /// The organization's last number.
    public var last: Int64

    public init(changes: [Change], nextAfter: Int64, oldest: Int64, last: Int64) {
        self.changes = changes
        self.nextAfter = nextAfter
        self.oldest = oldest
        self.last = last
    }
}

/// A row of the snapshot with which a stream of changes may begin.
public struct ChangeRow: Sendable, Codable, Equatable {
    /// `environment`, `execution`, `repository`, `worker` or `workspace`.
    public var kind: String
    /// Its id: the subject of its changes.
    public var subject: String
    /// As its own route shows it.
    public var row: JSONValue

    public init(kind: String, subject: String, row: JSONValue) {
        self.kind = kind
        self.subject = subject
        self.row = row
    }
}

/// How far a stream of changes has come: after `snapshot`, what the rows show; after `position`, what was passed over.
public struct ChangePosition: Sendable, Codable, Equatable {
    public var sequence: Int64

    public init(sequence: Int64) { self.sequence = sequence }
}
