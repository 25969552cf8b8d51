public import Base
public import Domain

/// A line of an environment's provisioning log.
public struct ProvisioningEntry: Sendable, Codable, Equatable {
    /// 1, 2, … of its environment.
    public var seq: Int64
    public var timestamp: Timestamp
    /// `info`, `success`, `error` or `debug`.
    public var level: String
    public var message: String

    public init(seq: Int64, timestamp: Timestamp, level: String, message: String) {
        self.seq = seq
        self.timestamp = timestamp
        self.level = level
        self.message = message
    }
}

/// `POST /v1/environments/{id}/execute`.
public struct ExecuteCode: Sendable, Codable, Equatable {
    /// Text for the environment's `sh`.
    public var code: String?
    public var command: [String]?
    public var stdin: String?
    public var workingDirectory: String?
    public var env: [String: String]?
    public var timeoutMs: Int64?
    /// The answer comes after this time even if the run has not ended.
    public var waitMs: Int64?

    public init() {}
}

public struct ExecutedCode: Sendable, Codable, Equatable {
    public var executionId: ExecutionID
    public var status: ExecutionStatus
    public var exitCode: Int32?
    public var signal: Int32?
    /// What is no UTF-8 is replaced; the exact bytes are the execution's output.
    public var stdout: String
    public var stderr: String
    public var isTruncated: Bool
    public var durationMs: Int64?
    public var failure: FailureReason?

    public init(executionId: ExecutionID, status: ExecutionStatus, stdout: String, stderr: String, isTruncated: Bool) {
        self.executionId = executionId
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        self.isTruncated = isTruncated
    }
}
