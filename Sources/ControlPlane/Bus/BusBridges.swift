public import Base
public import Domain

/// What the bus needs of executions; wired by the composition root.
public protocol ExecutionRequesting: Sendable {
    /// Runs what a message of the exec topic asks for, as a request of the API would; once for each
    /// ``BusRequest/message``, however often this is called.
    func run(_ request: BusRequest, by principal: Principal) async throws -> RequestedExecution
}

public struct RequestedExecution: Sendable {
    public var id: ExecutionID
    /// false when an earlier delivery of the message made it.
    public var isNew: Bool

    public init(id: ExecutionID, isNew: Bool) {
        self.id = id
        self.isNew = isNew
    }
}

/// What the bus needs of stored output; wired by the composition root.
public protocol StoredOutputReading: Sendable {
    /// Bytes stored of a stream; 0 for an unknown one.
    func length(_ key: AttemptKey, _ stream: OutputStream) async throws -> Int64
    /// Up to `limit` bytes from `offset` on.
    func read(_ key: AttemptKey, _ stream: OutputStream, from offset: Int64, limit: Int) async throws -> [UInt8]
}
