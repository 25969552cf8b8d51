import Base
public import Domain

/// What a worker learns from an agent's standard output while it runs. Pure.
public struct AgentObservation: Sendable {
    public private(set) var verdict: AgentVerdict?
    public private(set) var agentSessionID: String?
    public private(set) var model: String?
    /// Answers of the model, as seen here.
    public private(set) var turns = 0
    /// Why the run should be stopped now.
    public private(set) var stopCause: StopCause?

    private var parser: StreamJSONParser?
    private let maximumTurns: Int?
    private var refusals = 0

    /// The CLI tries a refused key ten times, over minutes; the second refusal is no accident.
    private static let toleratedRefusals = 1

    public init(agent: AgentKind, caps: RunCaps, from offset: Int64 = 0) {
        parser = agent == .claude ? StreamJSONParser(from: offset) : nil
        maximumTurns = caps.maxTurns
    }

    /// Whether the output means anything here at all.
    public var isReading: Bool { parser != nil }
    public var offset: Int64 { parser?.offset ?? 0 }

    public mutating func feed(_ bytes: some Collection<UInt8>) -> [PersonaMessage] {
        guard let parsed = parser?.feed(bytes) else { return [] }
        return parsed.flatMap { take($0.event) }
    }

    public mutating func jump(to offset: Int64) { parser?.jump(to: offset) }

    public mutating func finish() -> [PersonaMessage] {
        guard let parsed = parser?.finish() else { return [] }
        return parsed.flatMap { take($0.event) }
    }

    private mutating func take(_ event: AgentEvent) -> [PersonaMessage] {
        switch event {
        case .started(let id, let model, _):
            agentSessionID = id ?? agentSessionID
            self.model = model ?? self.model
        case .text(let text): return PersonaMessage.messages(in: text)
        case .usage:
            turns += 1
            // The CLI stops by itself at its own count; this catches one that does not.
            if let maximumTurns, turns > maximumTurns { stopCause = stopCause ?? .turnCap }
        case .result(let verdict):
            self.verdict = verdict
            agentSessionID = verdict.agentSessionID ?? agentSessionID
        case .other("system", let json): noteRetry(json)
        case .other, .thinking, .toolCall, .toolResult: break
        }
        return []
    }

    private mutating func noteRetry(_ json: String) {
        guard json.contains("api_retry"), let value = try? JSONValue(parsing: json.utf8),
            value["subtype"]?.string == "api_retry", let status = value["error_status"]?.integer,
            status == 401 || status == 403
        else { return }
        refusals += 1
        if refusals > Self.toleratedRefusals { stopCause = stopCause ?? .keyRefused }
    }
}
