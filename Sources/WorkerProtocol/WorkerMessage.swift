public import Base
public import Domain

/// Text frames from a worker to its server. The names and fields of seed 004 (section 1.2) are exact; everything that
/// Berth adds is an optional field or a message of its own, so a peer that speaks only the document works.
public enum WorkerMessage: Sendable, Equatable {
    case hello(Hello)
    case ready(Ready)
    case stdout(OutputChunk)
    case stderr(OutputChunk)
    case complete(Complete)
    case event(PersonaEvent)
    case heartbeat(Heartbeat)
    // Added by protocol 1.
    case started(Started)
    case progress(Progress)
    case open(OpenChannel)
    case connected(Connected)
    case refused(Refused)

    public struct Hello: Sendable, Equatable, Codable {
        public var workerId: String
        public var version: String
        public var capabilities: [String]
        /// Absent from a peer of protocol 0.1.
        public var `protocol`: Int?
        public var environmentId: EnvironmentID?
        public var instance: Int64?
        /// What this worker runs, or has ended and not yet been told to forget.
        public var attempts: [AttemptPosition]?
        /// Names the worker's books: another process of the same name has others. Absent from one that does not say.
        public var stateId: String?
        /// When the process began, milliseconds since 1970.
        public var startedAt: Int64?

        public init(
            workerId: String,
            version: String,
            capabilities: [String],
            protocol: Int? = nil,
            environmentId: EnvironmentID? = nil,
            instance: Int64? = nil,
            attempts: [AttemptPosition]? = nil,
            stateId: String? = nil,
            startedAt: Int64? = nil
        ) {
            self.stateId = stateId
            self.startedAt = startedAt
            self.workerId = workerId
            self.version = version
            self.capabilities = capabilities
            self.protocol = `protocol`
            self.environmentId = environmentId
            self.instance = instance
            self.attempts = attempts
        }
    }

    /// Where an attempt stands on the worker when it connects.
    public struct AttemptPosition: Sendable, Equatable, Codable {
        public var executionId: ExecutionID
        public var attempt: Int
        /// Bytes on the worker's disk, from the process's first.
        public var stdout: Int64
        public var stderr: Int64
        public var hasEnded: Bool

        public init(executionId: ExecutionID, attempt: Int, stdout: Int64, stderr: Int64, hasEnded: Bool) {
            self.executionId = executionId
            self.attempt = attempt
            self.stdout = stdout
            self.stderr = stderr
            self.hasEnded = hasEnded
        }
    }

    public struct Ready: Sendable, Equatable, Codable {
        /// Executions that may run at the same time; a peer of protocol 0.1 runs one.
        public var slots: Int?

        public init(slots: Int? = nil) { self.slots = slots }
    }

    public struct OutputChunk: Sendable, Equatable, Codable {
        public var executionId: String
        public var chunk: String
        /// Milliseconds since 1970.
        public var timestamp: Int64

        public init(executionId: String, chunk: String, timestamp: Int64) {
            self.executionId = executionId
            self.chunk = chunk
            self.timestamp = timestamp
        }
    }

    public struct Complete: Sendable, Equatable, Codable {
        public enum Status: String, Sendable, Codable { case completed, failed, cancelled }

        public var executionId: String
        public var status: Status
        public var exitCode: Int32
        public var durationMs: Int64
        public var attempt: Int?
        /// The whole truth; `status` is what protocol 0.1 can say of it.
        public var report: ExecutionReport?

        public init(
            executionId: String,
            status: Status,
            exitCode: Int32,
            durationMs: Int64,
            attempt: Int? = nil,
            report: ExecutionReport? = nil
        ) {
            self.executionId = executionId
            self.status = status
            self.exitCode = exitCode
            self.durationMs = durationMs
            self.attempt = attempt
            self.report = report
        }
    }

    public struct PersonaEvent: Sendable, Equatable, Codable {
        public var executionId: String
        /// `manual_review`, `user_message`, `persona_action`, `emit_event`, or a later one.
        public var eventType: String
        public var payload: JSONValue

        public init(executionId: String, eventType: String, payload: JSONValue) {
            self.executionId = executionId
            self.eventType = eventType
            self.payload = payload
        }
    }

    public struct Heartbeat: Sendable, Equatable, Codable {
        /// Milliseconds since 1970.
        public var timestamp: Int64
        /// What goes on in its environment.
        public var activity: ActivityReport?

        public init(timestamp: Int64, activity: ActivityReport? = nil) {
            self.timestamp = timestamp
            self.activity = activity
        }
    }

    /// The process of an attempt exists.
    public struct Started: Sendable, Equatable, Codable {
        public var executionId: ExecutionID
        public var attempt: Int

        public init(executionId: ExecutionID, attempt: Int) {
            self.executionId = executionId
            self.attempt = attempt
        }
    }

    /// What happens before and after the agent runs, for people who wait: `cloning`, `starting`, `collecting`, `pushing`.
    public struct Progress: Sendable, Equatable, Codable {
        public var executionId: ExecutionID
        public var attempt: Int
        public var stage: String
        public var message: String

        public init(executionId: ExecutionID, attempt: Int, stage: String, message: String) {
            self.executionId = executionId
            self.attempt = attempt
            self.stage = stage
            self.message = message
        }
    }

    /// The TCP connection of a server's `connect` is there.
    public struct Connected: Sendable, Equatable, Codable {
        public var channel: UInt32

        public init(channel: UInt32) { self.channel = channel }
    }

    /// There is none; the channel's number is used up.
    public struct Refused: Sendable, Equatable, Codable {
        public var channel: UInt32
        /// For people.
        public var reason: String

        public init(channel: UInt32, reason: String) {
            self.channel = channel
            self.reason = reason
        }
    }

    /// Says what the binary frames of `channel` will carry. Channels are numbered by the worker, from 1, per connection.
    public struct OpenChannel: Sendable, Equatable, Codable {
        public var channel: UInt32
        public var executionId: ExecutionID
        public var attempt: Int
        public var stream: OutputStream
        /// Offset of the first byte that the worker will send; the server's credit may move it.
        public var offset: Int64

        public init(channel: UInt32, executionId: ExecutionID, attempt: Int, stream: OutputStream, offset: Int64) {
            self.channel = channel
            self.executionId = executionId
            self.attempt = attempt
            self.stream = stream
            self.offset = offset
        }
    }
}

extension WorkerMessage: TaggedMessage {
    public var tag: String {
        switch self {
        case .hello: "hello"
        case .ready: "ready"
        case .stdout: "stdout"
        case .stderr: "stderr"
        case .complete: "complete"
        case .event: "event"
        case .heartbeat: "heartbeat"
        case .started: "started"
        case .progress: "progress"
        case .open: "open"
        case .connected: "connected"
        case .refused: "refused"
        }
    }

    public var body: any Codable & Sendable {
        switch self {
        case .hello(let body): body
        case .ready(let body): body
        case .stdout(let body), .stderr(let body): body
        case .complete(let body): body
        case .event(let body): body
        case .heartbeat(let body): body
        case .started(let body): body
        case .progress(let body): body
        case .open(let body): body
        case .connected(let body): body
        case .refused(let body): body
        }
    }

    public init?(tag: String, from decoder: any Decoder) throws {
        switch tag {
        case "hello": self = .hello(try Hello(from: decoder))
        case "ready": self = .ready(try Ready(from: decoder))
        case "stdout": self = .stdout(try OutputChunk(from: decoder))
        case "stderr": self = .stderr(try OutputChunk(from: decoder))
        case "complete": self = .complete(try Complete(from: decoder))
        case "event": self = .event(try PersonaEvent(from: decoder))
        case "heartbeat": self = .heartbeat(try Heartbeat(from: decoder))
        case "started": self = .started(try Started(from: decoder))
        case "progress": self = .progress(try Progress(from: decoder))
        case "open": self = .open(try OpenChannel(from: decoder))
        case "connected": self = .connected(try Connected(from: decoder))
        case "refused": self = .refused(try Refused(from: decoder))
        default: return nil
        }
    }
}
