public import Base

public enum OutputStream: String, Sendable, Hashable, Codable, CaseIterable {
    case stdout
    case stderr
}

/// One stream of one attempt of an execution: what a segment directory is named by.
public struct OutputKey: Hashable, Sendable, CustomStringConvertible {
    public var executionID: ExecutionID
    /// From 1 on; the execution's fence.
    public var attempt: Int
    public var stream: OutputStream

    public init(executionID: ExecutionID, attempt: Int, stream: OutputStream) {
        self.executionID = executionID
        self.attempt = attempt
        self.stream = stream
    }

    public var description: String { "\(executionID):\(attempt)/\(stream.rawValue)" }

    /// Below a store's root; an id's form allows nothing that a path could misread.
    var relativePath: String { "\(executionID)/\(attempt)/\(stream.rawValue)" }
}

extension ErrorCode {
    /// Bytes were offered beyond the stored end; what lies between is missing.
    public static let outputGap = ErrorCode(rawValue: "output_gap")
}
