public import Base

/// `POST /api/execute`, exactly as seed 004 (section 1.6) and its first code (origins 4.8) send it.
public struct CompatibilityExecute: Sendable, Codable, Equatable {
    public var personaId: String
    public var prompt: String
    public var config: RunConfig?
    /// The first code sent it here instead of in `config`.
    public var timeoutMs: Int64?

    public init(personaId: String, prompt: String, config: RunConfig? = nil, timeoutMs: Int64? = nil) {
        self.personaId = personaId
        self.prompt = prompt
        self.config = config
        self.timeoutMs = timeoutMs
    }
}

public struct CompatibilityAccepted: Sendable, Codable, Equatable {
    public var executionId: ExecutionID
    public var status: String

    public init(executionId: ExecutionID, status: String) {
        self.executionId = executionId
        self.status = status
    }
}

/// `GET /api/executions/{id}?offset=N`: lines of standard output from line `offset` on.
public struct CompatibilityExecution: Sendable, Codable, Equatable {
    public var executionId: ExecutionID
    public var status: String
    /// Lines so far; the next `offset`.
    public var outputLines: Int
    public var output: [String]
    public var durationMs: Int64?
    public var sessionId: String?
    public var totalCostUsd: Double?

    public init(
        executionId: ExecutionID,
        status: String,
        outputLines: Int,
        output: [String],
        durationMs: Int64?,
        sessionId: String?,
        totalCostUsd: Double?
    ) {
        self.executionId = executionId
        self.status = status
        self.outputLines = outputLines
        self.output = output
        self.durationMs = durationMs
        self.sessionId = sessionId
        self.totalCostUsd = totalCostUsd
    }
}

/// `GET /api/status`.
public struct CompatibilityStatus: Sendable, Codable, Equatable {
    public struct Worker: Sendable, Codable, Equatable {
        public var workerId: String
        /// `idle`, `executing` or `offline`.
        public var status: String
        public var currentExecutionId: String?

        public init(workerId: String, status: String, currentExecutionId: String?) {
            self.workerId = workerId
            self.status = status
            self.currentExecutionId = currentExecutionId
        }
    }

    public struct Queue: Sendable, Codable, Equatable {
        public var queued: Int
        public var running: Int

        public init(queued: Int, running: Int) {
            self.queued = queued
            self.running = running
        }
    }

    public struct Token: Sendable, Codable, Equatable {
        public var isConfigured: Bool

        public init(isConfigured: Bool) { self.isConfigured = isConfigured }
    }

    public var workers: [Worker]
    public var queue: Queue
    public var token: Token

    public init(workers: [Worker], queue: Queue, token: Token) {
        self.workers = workers
        self.queue = queue
        self.token = token
    }
}
