public import Base

/// What runs in an execution. Open: a newer peer may know more.
public struct AgentKind: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public var description: String { rawValue }

    /// An argument vector, run as it is.
    public static let command = AgentKind(rawValue: "command")
    /// The Claude CLI in print mode with stream-json output.
    public static let claude = AgentKind(rawValue: "claude")

    /// The Codex CLI as an app server.
    public static let codex = AgentKind(rawValue: "codex")
    /// Any program that speaks the Agent Client Protocol on its standard streams.
    public static let acp = AgentKind(rawValue: "acp")

    /// Those of executions.
    public static let known: [AgentKind] = [.command, .claude]
    /// Those of agent sessions.
    public static let conversing: [AgentKind] = [.claude, .codex, .acp, .command]
}

/// Caps of one run (F18). nil means no cap.
public struct RunCaps: Sendable, Codable, Equatable {
    public var timeoutMs: Int64?
    public var maxTurns: Int?
    /// US dollars.
    public var maxCostUSD: Double?
    /// Bytes of each output stream that are stored from its start; past it the process goes on (see `OutputMark`).
    public var maxOutputBytes: Int64

    /// Source: seed 004, section 1.2 and origins 4.8.
    public static let defaultOutputBytes: Int64 = 10_000_000

    public init(
        timeoutMs: Int64? = nil,
        maxTurns: Int? = nil,
        maxCostUSD: Double? = nil,
        maxOutputBytes: Int64 = Self.defaultOutputBytes
    ) {
        self.timeoutMs = timeoutMs
        self.maxTurns = maxTurns
        self.maxCostUSD = maxCostUSD
        self.maxOutputBytes = maxOutputBytes
    }

    public func validate() throws(BerthError) {
        if let timeoutMs, !(1...31_536_000_000).contains(timeoutMs) {
            throw Self.outOfRange("config.timeoutMs", timeoutMs, "1 to 31536000000 milliseconds (one year)")
        }
        if let maxTurns, !(1...100_000).contains(maxTurns) {
            throw Self.outOfRange("config.maxTurns", maxTurns, "1 to 100000")
        }
        if let maxCostUSD, !(maxCostUSD > 0 && maxCostUSD <= 1_000_000) {
            throw Self.outOfRange("config.maxCostUsd", maxCostUSD, "above 0, at most 1000000")
        }
        if !(1...(1 << 40)).contains(maxOutputBytes) {
            throw Self.outOfRange("config.maxOutputBytes", maxOutputBytes, "1 to 1099511627776 (1 TiB)")
        }
    }

    private static func outOfRange(_ field: String, _ value: some CustomStringConvertible, _ range: String)
        -> BerthError
    {
        BerthError(.invalidValue, "\(value) is out of range", field: field, remedy: "allowed: \(range)")
    }
}

/// Tokens and money of a run, as the agent itself reports them.
public struct AgentUsage: Sendable, Codable, Equatable {
    public var inputTokens: Int64
    public var outputTokens: Int64
    public var cacheReadTokens: Int64
    public var cacheCreationTokens: Int64
    public var costUSD: Double?
    public var turns: Int?

    public init(
        inputTokens: Int64 = 0,
        outputTokens: Int64 = 0,
        cacheReadTokens: Int64 = 0,
        cacheCreationTokens: Int64 = 0,
        costUSD: Double? = nil,
        turns: Int? = nil
    ) {
        self.inputTokens = inputTokens
        self.outputTokens = outputTokens
        self.cacheReadTokens = cacheReadTokens
        self.cacheCreationTokens = cacheCreationTokens
        self.costUSD = costUSD
        self.turns = turns
    }
}
