/// Hints between the processes that use one database. They may be lost or come twice and carry no truth: who waits for
/// one also looks by itself from time to time.
public protocol WakeUps: Sendable {
    /// Tells the other processes; returns at once. Of several that wait to be sent about one subject the last remains.
    func send(_ wakeUp: WakeUp)

    /// Calls `hear` for each wake-up of `topic` that another process sent, on the engine's thread, until the database is
    /// closed; nil when some may have been missed. `hear` must not wait.
    func listen(_ topic: String, _ hear: @escaping @Sendable (WakeUp?) -> Void)
}

public struct WakeUp: Sendable, Hashable {
    /// Who listens: `feed`, `dispatch`, … Without spaces.
    public var topic: String
    /// What changed, such as an id. Without spaces.
    public var subject: String
    /// Up to 4 KB.
    public var payload: String

    public init(_ topic: String, _ subject: some CustomStringConvertible, _ payload: String = "") {
        self.topic = topic
        self.subject = subject.description
        self.payload = payload
    }
}
