public import Base

/// Why an execution did not complete: a stable code (see `ErrorCode`) and words for people.
public struct FailureReason: Sendable, Codable, Equatable {
    public var code: ErrorCode
    public var message: String
    public var remedy: String?
    /// true: the same may go better at another time, whatever the code says in general.
    public var isRetryable: Bool?

    public init(_ code: ErrorCode, _ message: String, remedy: String? = nil) {
        self.code = code
        self.message = message
        self.remedy = remedy
    }

    public init(_ error: BerthError) {
        self.init(error.code, error.message, remedy: error.remedy)
        isRetryable = error.isRetryable ? true : nil
    }

    /// Whether the machinery failed, and not what it was asked to do.
    public var isInfrastructure: Bool { isRetryable ?? code.isInfrastructure }
}

/// What is kept of one output stream and what is true of all of it.
public struct OutputMark: Sendable, Codable, Equatable {
    /// Everything the process wrote.
    public var totalBytes: Int64
    /// Bytes stored from the start.
    public var headBytes: Int64
    /// Bytes stored from the end, behind the head; they begin at `totalBytes - tailBytes`.
    public var tailBytes: Int64
    /// SHA-256 of everything the process wrote, hexadecimal.
    public var sha256: String

    public var isTruncated: Bool { storedBytes.map { $0 < totalBytes } ?? false }

    /// Both parts together; nil for figures that contradict each other, which a foreign worker may send.
    public var storedBytes: Int64? {
        guard headBytes >= 0, tailBytes >= 0 else { return nil }
        let (sum, isTooMuch) = headBytes.addingReportingOverflow(tailBytes)
        return isTooMuch || sum > totalBytes ? nil : sum
    }

    public init(totalBytes: Int64, headBytes: Int64, tailBytes: Int64, sha256: String) {
        self.totalBytes = totalBytes
        self.headBytes = headBytes
        self.tailBytes = tailBytes
        self.sha256 = sha256
    }
}

public enum OutputStream: String, Sendable, Codable, CaseIterable, Hashable {
    case stdout, stderr
}

/// The one recorded end of an attempt, as its worker reports it.
public struct ExecutionReport: Sendable, Codable, Equatable {
    public enum Outcome: String, Sendable, Codable {
        case completed, failed, cancelled, timedOut
    }

    public var outcome: Outcome
    /// nil when the process never started or ended by a signal.
    public var exitCode: Int32?
    public var signal: Int32?
    public var failure: FailureReason?
    public var durationMs: Int64
    /// false: no process was ever made for it, so that another attempt repeats nothing; nil: its worker does not say.
    public var hasStarted: Bool?
    public var verdict: AgentVerdict?
    public var agentSessionID: String?
    public var model: String?
    public var workspace: WorkspaceOutcome?
    public var stdout: OutputMark?
    public var stderr: OutputMark?

    public init(
        outcome: Outcome,
        exitCode: Int32? = nil,
        signal: Int32? = nil,
        failure: FailureReason? = nil,
        durationMs: Int64,
        hasStarted: Bool? = nil,
        verdict: AgentVerdict? = nil,
        agentSessionID: String? = nil,
        model: String? = nil,
        workspace: WorkspaceOutcome? = nil,
        stdout: OutputMark? = nil,
        stderr: OutputMark? = nil
    ) {
        self.outcome = outcome
        self.exitCode = exitCode
        self.signal = signal
        self.failure = failure
        self.durationMs = durationMs
        self.hasStarted = hasStarted
        self.verdict = verdict
        self.agentSessionID = agentSessionID
        self.model = model
        self.workspace = workspace
        self.stdout = stdout
        self.stderr = stderr
    }
}
