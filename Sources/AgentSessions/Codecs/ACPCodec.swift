public import Base
public import Domain

/// An agent that speaks the Agent Client Protocol, version 1, on its standard streams (agentclientprotocol.com). What it
/// writes comes in pieces, which become one text when something else follows.
public struct ACPCodec: AgentCodec {
    private var rpc = JSONRPC(hasVersion: true)
    private var session: String?
    private var canLoad = false
    /// It tells the old conversation again while it loads.
    private var isLoading = false
    private var piece = Piece()
    private var waiting: [String: Waiting] = [:]

    private struct Piece: Sendable, Codable, Equatable {
        var kind = SessionEvent.Kind.text
        var text = ""
    }

    private struct Waiting: Sendable, Codable, Equatable {
        var id: JSONValue
        /// By kind: `allow_once`, `allow_always`, `reject_once`, `reject_always`.
        var options: [String: String]
    }

    public init() {}

    public var hasProcessPerTurn: Bool { false }

    public func launch(_ context: AgentContext, message: String?) throws(BerthError) -> SessionLaunch {
        guard let command = context.command, !command.isEmpty else {
            throw BerthError(
                .missingField,
                "an agent of the Agent Client Protocol needs a command",
                field: "command",
                remedy: "give its program and arguments"
            )
        }
        guard context.model == nil else {
            throw BerthError(
                .unsupported,
                "the Agent Client Protocol has no models",
                field: "model",
                remedy: "choose the model in the agent's own configuration"
            )
        }
        return SessionLaunch(arguments: command, variables: ["NO_COLOR": "1"])
    }

    public mutating func open(_ context: AgentContext) -> [[UInt8]] {
        self = ACPCodec()
        let parameters: JSONValue = [
            "protocolVersion": .integer(1),
            "clientCapabilities": ["fs": ["readTextFile": false, "writeTextFile": false], "terminal": false],
            "clientInfo": ["name": "berth", "title": "Berth", "version": "1"],
        ]
        return [rpc.request("initialize", parameters)]
    }

    private mutating func begin(_ context: AgentContext, _ result: JSONValue) -> AgentReading {
        canLoad = result["agentCapabilities"]?["loadSession"]?.bool ?? false
        var parameters: [String: JSONValue] = ["cwd": .string(context.directory), "mcpServers": []]
        guard let known = context.agentSessionID else {
            return AgentReading(lines: [rpc.request("session/new", .object(parameters))])
        }
        guard canLoad else {
            return AgentReading(
                [.event(.words(.notice, "this agent keeps no conversations: it begins a new one"))],
                lines: [rpc.request("session/new", .object(parameters))]
            )
        }
        parameters["sessionId"] = .string(known)
        session = known
        isLoading = true
        return AgentReading(lines: [rpc.request("session/load", .object(parameters))])
    }

    public mutating func say(_ message: SessionMessage, _ context: AgentContext) -> [[UInt8]] {
        let prompt: JSONValue = [["type": "text", "text": .string(message.text)]]
        return [rpc.request("session/prompt", ["sessionId": .string(session ?? ""), "prompt": prompt])]
    }

    public mutating func answer(_ request: SessionRequest, _ answer: SessionAnswer) -> [[UInt8]] {
        guard let known = waiting.removeValue(forKey: request.id) else { return [] }
        let kinds =
            switch answer.decision {
            case .allow: ["allow_once", "allow_always"]
            case .allowAlways: ["allow_always", "allow_once"]
            case .deny: ["reject_once", "reject_always"]
            }
        guard answer.by != .interrupt, let option = kinds.lazy.compactMap({ known.options[$0] }).first else {
            return [rpc.result(known.id, ["outcome": ["outcome": "cancelled"]])]
        }
        return [rpc.result(known.id, ["outcome": ["outcome": "selected", "optionId": .string(option)]])]
    }

    public mutating func interrupt() -> [[UInt8]] {
        session.map { [rpc.notification("session/cancel", ["sessionId": .string($0)])] } ?? []
    }

    public mutating func change(_ change: SessionChange) throws(BerthError) -> [[UInt8]]? {
        guard change.model == nil else {
            throw BerthError(.unsupported, "the Agent Client Protocol has no models", field: "model")
        }
        // Modes are each agent's own; those of Berth are kept by answering for the person.
        return []
    }

    public func explain(_ exit: AgentExit, errors: String) -> FailureReason { explained("the agent", exit, errors) }
}

// Reading.
extension ACPCodec {
    private static let login = "log in with the agent's own program in a terminal of the environment"

    public mutating func read(_ line: [UInt8], _ context: AgentContext) -> AgentReading {
        guard let value = try? JSONValue(parsing: line) else {
            return AgentReading([.event(.words(.notice, String(decoding: line, as: UTF8.self)))])
        }
        switch rpc.read(value) {
        case .result("initialize", let result): return begin(context, result)
        case .result("session/new", let result):
            session = result["sessionId"]?.string
            return AgentReading([.conversation(id: session ?? "", transcript: nil), .ready])
        case .result("session/load", _):
            isLoading = false
            piece = Piece()
            return AgentReading([.ready])
        case .result("session/prompt", let result):
            let reason = result["stopReason"]?.string ?? ""
            let failure =
                ["refusal", "max_tokens", "max_turn_requests"].contains(reason)
                ? FailureReason(.agentFailed, "the agent stopped: \(reason)") : nil
            return AgentReading(told() + [.turnEnded(failure)])
        case .failure(let method, let message):
            guard ["initialize", "session/new", "session/load", "session/prompt"].contains(method) else {
                return AgentReading([.event(.words(.notice, "\(method) was refused: \(message)"))])
            }
            isLoading = false
            return AgentReading(
                told() + [.turnEnded(EndpointFailure.reason(status: nil, text: message, login: Self.login))]
            )
        case .notification("session/update", let parameters):
            return AgentReading(isLoading ? [] : update(parameters["update"] ?? [:]))
        case .request(let id, "session/request_permission", let parameters): return asked(id, parameters)
        case .request(let id, let method, _):
            return AgentReading(lines: [rpc.refusal(id, -32601, "'\(method)' is not offered")])
        case .result, .notification, nil: return AgentReading()
        }
    }

    /// What was gathered so far, as one event.
    private mutating func told() -> [AgentSignal] {
        guard !piece.text.isEmpty else { return [] }
        defer { piece.text = "" }
        return [.event(.words(piece.kind, piece.text))]
    }

    private mutating func gather(_ kind: SessionEvent.Kind, _ text: String) -> [AgentSignal] {
        let before = piece.kind == kind && piece.text.utf8.count < AgentSessionLimits.textBytes ? [] : told()
        piece.kind = kind
        piece.text += text
        return before
    }

    private mutating func update(_ update: JSONValue) -> [AgentSignal] {
        let words = update["content"]?["text"]?.string ?? ""
        switch update["sessionUpdate"]?.string {
        case "agent_message_chunk": return gather(.text, words)
        case "agent_thought_chunk": return gather(.thinking, words)
        case "tool_call": return told() + call(update) + result(update)
        case "tool_call_update": return told() + result(update)
        case "plan":
            return told()
                + (ToolInput.list(update["entries"], text: "content").map { [.event(.words(.plan, $0))] } ?? [])
        case "user_message_chunk", "available_commands_update": return []
        case "current_mode_update": return []
        case let kind: return told() + [.event(.other(kind ?? "", update))]
        }
    }

    private func call(_ update: JSONValue) -> [AgentSignal] {
        [
            .event(
                .toolCall(
                    id: update["toolCallId"]?.string ?? "",
                    name: update["title"]?.string ?? update["kind"]?.string ?? "tool",
                    input: update["rawInput"] ?? [:]
                )
            )
        ]
    }

    private func result(_ update: JSONValue) -> [AgentSignal] {
        let status = update["status"]?.string
        guard status == "completed" || status == "failed" else { return [] }
        let content = update["content"].map(ToolInput.plainText) ?? update["rawOutput"].map(ToolInput.plainText) ?? ""
        return [
            .event(
                .toolResult(id: update["toolCallId"]?.string ?? "", text: content, isError: status == "failed")
            )
        ]
    }

    private mutating func asked(_ id: JSONValue, _ parameters: JSONValue) -> AgentReading {
        var options: [String: String] = [:]
        for option in parameters["options"]?.array ?? [] {
            if let kind = option["kind"]?.string, let name = option["optionId"]?.string, options[kind] == nil {
                options[kind] = name
            }
        }
        let call = parameters["toolCall"] ?? [:]
        let kind = call["kind"]?.string
        waiting[id.text] = Waiting(id: id, options: options)
        let request = SessionRequest(
            id: id.text,
            kind: .permission,
            tool: kind == "read" || kind == "search" ? "Read" : kind == "edit" ? "Edit" : call["title"]?.string ?? kind,
            toolCallId: call["toolCallId"]?.string,
            title: call["title"]?.string ?? "use a tool",
            input: call["rawInput"],
            allowsAlways: options["allow_always"] != nil
        )
        return AgentReading(told() + [.asked(request)])
    }
}
