public import Base

/// A worker as people see it.
public struct WorkerRecord: Sendable, Equatable {
    public var id: WorkerID
    public var name: String
    public var environmentID: EnvironmentID?
    public var instance: Int64?
    public var version: String?
    /// nil for a peer that speaks only the documented messages.
    public var protocolVersion: Int?
    public var capabilities: [String]
    public var slots: Int
    /// Executions that it holds now.
    public var executions: [ExecutionID]
    public var isConnected: Bool
    public var connectedAt: Timestamp?
    public var lastHeardAt: Timestamp?
    public var createdAt: Timestamp
}
