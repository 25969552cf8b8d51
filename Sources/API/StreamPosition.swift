public import Base

/// Where a viewer of an execution stands: the id of each server-sent event, and what `Last-Event-ID` resumes from.
/// Text form: `attempt.stdout.stderr.agent.state`, five decimal numbers.
public struct StreamPosition: Sendable, Equatable, CustomStringConvertible {
    /// The attempt that the offsets belong to; 0 before the first.
    public var attempt: Int
    /// Offset behind what was delivered of each stream.
    public var stdout: Int64
    public var stderr: Int64
    /// Bytes of standard output whose agent events were delivered; the start of a line.
    public var agent: Int64
    /// Number of the last state or progress event that was delivered.
    public var state: Int64

    public static let start = StreamPosition(attempt: 0, stdout: 0, stderr: 0, agent: 0, state: 0)

    public init(attempt: Int, stdout: Int64, stderr: Int64, agent: Int64, state: Int64) {
        self.attempt = attempt
        self.stdout = stdout
        self.stderr = stderr
        self.agent = agent
        self.state = state
    }

    public init(_ text: String, field: String = "Last-Event-ID") throws(BerthError) {
        let numbers = text.split(separator: ".", omittingEmptySubsequences: false).map { Int64($0) }
        guard numbers.count == 5, let attempt = numbers[0], let stdout = numbers[1], let stderr = numbers[2],
            let agent = numbers[3], let state = numbers[4], min(attempt, stdout, stderr, agent, state) >= 0,
            attempt <= Int32.max
        else {
            throw BerthError(
                .invalidValue,
                "'\(text.prefix(80))' is not a position of this stream",
                field: field,
                remedy: "hand back the id of an event as it came, or leave it out to begin at the start"
            )
        }
        self.init(attempt: Int(attempt), stdout: stdout, stderr: stderr, agent: agent, state: state)
    }

    public var description: String { "\(attempt).\(stdout).\(stderr).\(agent).\(state)" }
}

/// `stdout` and `stderr` events: bytes from `offset` on, as text where they are UTF-8. Offsets count stored bytes: a
/// capped stream's kept end follows its start directly; the marks of the `end` event's report tell what lies between.
public struct OutputEvent: Sendable, Codable, Equatable {
    public var offset: Int64
    public var text: String?
    public var base64: String?

    public init(offset: Int64, text: String?, base64: String?) {
        self.offset = offset
        self.text = text
        self.base64 = base64
    }
}

/// `state` events.
public struct StateEvent: Sendable, Codable, Equatable {
    public var status: ExecutionStatus
    public var attempt: Int
    public var environmentId: EnvironmentID?

    public init(status: ExecutionStatus, attempt: Int, environmentId: EnvironmentID?) {
        self.status = status
        self.attempt = attempt
        self.environmentId = environmentId
    }
}

/// `progress` events: what happens around the agent's own run, for people who wait.
public struct ProgressEvent: Sendable, Codable, Equatable {
    public var stage: String
    public var message: String

    public init(stage: String, message: String) {
        self.stage = stage
        self.message = message
    }
}
