public import Base

/// A fact to be recorded with the change it tells of.
public struct NewEvent: Sendable {
    /// Noun and past tense: `environment.started`.
    public var type: String
    /// Of the payload's form.
    public var version: Int
    /// The id of what it happened to.
    public var subject: String
    /// Whose thing it is: only this user (and who has an explicit share) may see it. nil: every member.
    public var ownerID: UserID?
    /// Who did it, nil for Berth itself.
    public var actorID: UserID?
    /// A JSON object, without secrets.
    public var payload: String
    public var at: Timestamp

    public init(
        _ type: String,
        version: Int = 1,
        subject: some CustomStringConvertible,
        ownerID: UserID?,
        actorID: UserID? = nil,
        payload: String = "{}",
        at: Timestamp
    ) {
        self.type = type
        self.version = version
        self.subject = subject.description
        self.ownerID = ownerID
        self.actorID = actorID
        self.payload = payload
        self.at = at
    }
}

/// A recorded fact. `seq` orders the events of one organization: dense, without gaps, in commit order.
public struct Event: Sendable {
    public let organizationID: OrganizationID
    public let seq: Int64
    public let type: String
    public let version: Int
    public let subject: String
    public let ownerID: UserID?
    public let actorID: UserID?
    public let payload: String
    public let at: Timestamp

    init(_ row: Row) throws {
        organizationID = try row.id("organization_id")
        seq = try row.integer("seq")
        type = try row.text("type")
        version = try row.int("version")
        subject = try row.text("subject")
        ownerID = try row.optionalID("owner_id")
        actorID = try row.optionalID("actor_id")
        payload = try row.text("payload")
        at = try row.timestamp("recorded_at")
    }
}

/// What a committed transaction returned, and the feed's position after it.
public struct Committed<Value: Sendable>: Sendable {
    public let value: Value
    /// The commit marker to answer a request with; nil when nothing changed.
    public let seq: Int64?
}
