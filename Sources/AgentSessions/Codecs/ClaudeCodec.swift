public import Base
public import Domain

/// The Claude CLI's stream-json, both ways (origins 1.6; checked with CLI 2.1.327). The process stays for the whole
/// conversation; a message carries an id of ours, by which the CLI takes one that comes twice only once.
public struct ClaudeCodec: AgentCodec {
    private var requests = 0
    /// What our control requests were about, by their id.
    private var asked: [String: String] = [:]
    /// The tool input, and what "always" would change, of what waits for a person.
    private var waiting: [String: Waiting] = [:]
    /// A plan is in the call of its tool alone, not in the question whether to go on with it.
    private var plans: [String: String] = [:]
    private var messageID: String?

    private struct Waiting: Sendable, Codable, Equatable {
        var input: JSONValue
        var suggestions: JSONValue?
    }

    public init() {}

    public var hasProcessPerTurn: Bool { false }

    public func launch(_ context: AgentContext, message: String?) throws(BerthError) -> SessionLaunch {
        var arguments = [
            "claude", "--output-format", "stream-json", "--input-format", "stream-json", "--verbose",
            "--replay-user-messages", "--permission-prompt-tool", "stdio", "--permission-mode",
            context.permissionMode.rawValue,
        ]
        func add(_ option: String, _ value: String?) { if let value { arguments += [option, value] } }
        add("--model", context.model)
        add("--append-system-prompt", context.instructions)
        add("--resume", context.agentSessionID)
        return SessionLaunch(
            arguments: arguments,
            variables: [
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_AUTOUPDATER": "1",
                "FORCE_COLOR": "0",
                "NO_COLOR": "1",
                // The CLI refuses bypassPermissions as root unless told that the machine is meant for it.
                "IS_SANDBOX": "1",
            ],
            // Marks of a Claude that this one does not run inside.
            removed: ["CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT"]
        )
    }

    public mutating func open(_ context: AgentContext) -> [[UInt8]] {
        self = ClaudeCodec()
        return [control(["subtype": "initialize"], about: "initialize")]
    }

    private mutating func control(_ request: JSONValue, about: String) -> [UInt8] {
        requests += 1
        let id = "berth-\(requests)"
        asked[id] = about
        return Self.line(["type": "control_request", "request_id": .string(id), "request": request])
    }

    private static func line(_ value: JSONValue) -> [UInt8] { Array(value.text.utf8) }

    public mutating func say(_ message: SessionMessage, _ context: AgentContext) -> [[UInt8]] {
        [
            Self.line([
                "type": "user", "uuid": .string(message.id.uuid), "parent_tool_use_id": .null, "session_id": "",
                "message": ["role": "user", "content": .string(message.text)],
            ])
        ]
    }

    public mutating func answer(_ request: SessionRequest, _ answer: SessionAnswer) -> [[UInt8]] {
        let known = waiting.removeValue(forKey: request.id)
        let input = known?.input ?? request.input ?? [:]
        var response: [String: JSONValue]
        switch (answer.decision, request.kind) {
        case (.deny, _):
            response = [
                "behavior": "deny", "message": .string(answer.message ?? "the user said no"),
                "interrupt": .bool(answer.by == .interrupt),
            ]
        case (_, .question):
            var members: [String: JSONValue] = [:]
            if case .object(let known) = input { members = known }
            members["answers"] = .object((answer.answers ?? [:]).mapValues { .string($0) })
            response = ["behavior": "allow", "updatedInput": .object(members)]
        case (_, .permission), (_, .plan):
            response = ["behavior": "allow", "updatedInput": input]
            if answer.decision == .allowAlways { response["updatedPermissions"] = known?.suggestions }
        }
        return [
            Self.line([
                "type": "control_response",
                "response": [
                    "subtype": "success", "request_id": .string(request.id), "response": .object(response),
                ],
            ])
        ]
    }

    public mutating func interrupt() -> [[UInt8]] { [control(["subtype": "interrupt"], about: "interrupt")] }

    public mutating func change(_ change: SessionChange) throws(BerthError) -> [[UInt8]]? {
        var lines: [[UInt8]] = []
        if let model = change.model {
            lines.append(control(["subtype": "set_model", "model": .string(model)], about: "set_model"))
        }
        if let mode = change.permissionMode {
            lines.append(
                control(
                    ["subtype": "set_permission_mode", "mode": .string(mode.rawValue)],
                    about: "set_permission_mode"
                )
            )
        }
        return lines
    }

    public func explain(_ exit: AgentExit, errors: String) -> FailureReason {
        errors.contains(Self.noConversation) ? Self.conversationGone : explained("the Claude CLI", exit, errors)
    }
}

// Reading.
extension ClaudeCodec {
    public mutating func read(_ line: [UInt8], _ context: AgentContext) -> AgentReading {
        guard let value = try? JSONValue(parsing: line), let type = value["type"]?.string else {
            return AgentReading([.event(.words(.notice, String(decoding: line, as: UTF8.self)))])
        }
        var signals: [AgentSignal] = []
        if let id = value["session_id"]?.string, !id.isEmpty, id != context.agentSessionID,
            value["is_error"]?.bool != true
        {
            signals.append(.conversation(id: id, transcript: nil))
        }
        switch type {
        case "control_response": signals += answered(value)
        case "control_request": return control(value, signals)
        case "control_cancel_request":
            if let id = value["request_id"]?.string {
                waiting[id] = nil
                signals.append(.unasked(id))
            }
        case "system": signals += system(value)
        case "assistant": signals += assistant(value)
        case "user": signals += user(value)
        case "result": signals += result(value)
        case "command_lifecycle", "keep_alive", "stream_event", "tool_progress": break
        default: signals.append(.event(.other(type, value)))
        }
        return AgentReading(signals)
    }

    /// The answer to one of our own requests; the CLI also repeats our answers to its own.
    private mutating func answered(_ value: JSONValue) -> [AgentSignal] {
        guard let response = value["response"], let id = response["request_id"]?.string,
            let about = asked.removeValue(forKey: id)
        else { return [] }
        if about == "initialize" { return [.ready] }
        if let error = response["error"]?.string {
            return [.event(.words(.notice, "\(about) was refused: \(error)"))]
        }
        switch about {
        case "set_model": return response["response"]?["model"]?.string.map { [.model($0)] } ?? []
        case "set_permission_mode": return response["response"]?["mode"]?.string.map { [.permissionMode($0)] } ?? []
        default: return []
        }
    }

    private mutating func control(_ value: JSONValue, _ signals: [AgentSignal]) -> AgentReading {
        guard let id = value["request_id"]?.string, let request = value["request"] else { return AgentReading(signals) }
        guard request["subtype"]?.string == "can_use_tool" else {
            let refusal: JSONValue = [
                "type": "control_response",
                "response": ["subtype": "error", "request_id": .string(id), "error": "not known here"],
            ]
            return AgentReading(signals, lines: [Self.line(refusal)])
        }
        let tool = request["tool_name"]?.string ?? ""
        let input = request["input"] ?? [:]
        let call = request["tool_use_id"]?.string
        waiting[id] = Waiting(input: input, suggestions: request["permission_suggestions"])
        let isQuestion = tool == "AskUserQuestion"
        let isPlan = tool == "ExitPlanMode"
        let asked = SessionRequest(
            id: id,
            kind: isQuestion ? .question : isPlan ? .plan : .permission,
            tool: tool,
            toolCallId: call,
            title: isPlan
                ? "the plan is ready" : request["description"]?.string ?? ToolInput.brief(input) ?? tool,
            input: isQuestion || isPlan ? nil : input,
            plan: isPlan ? call.flatMap { plans[$0] } ?? input["plan"]?.string : nil,
            questions: isQuestion ? Self.questions(input) : [],
            allowsAlways: request["permission_suggestions"]?.array?.isEmpty == false
        )
        return AgentReading(signals + [.asked(asked)])
    }

    private static func questions(_ input: JSONValue) -> [SessionRequest.Question] {
        (input["questions"]?.array ?? []).map { question in
            let text = question["question"]?.string ?? ""
            return SessionRequest.Question(
                id: text,
                header: question["header"]?.string,
                text: text,
                options: (question["options"]?.array ?? []).map { option in
                    let label = option["label"]?.string ?? ""
                    return .init(id: label, label: label, about: option["description"]?.string)
                },
                allowsSeveral: question["multiSelect"]?.bool ?? false
            )
        }
    }

    private func system(_ value: JSONValue) -> [AgentSignal] {
        switch value["subtype"]?.string {
        case "init":
            var signals: [AgentSignal] = []
            if let model = value["model"]?.string { signals.append(.model(model)) }
            if let mode = value["permissionMode"]?.string { signals.append(.permissionMode(mode)) }
            return signals
        case "status": return value["permissionMode"]?.string.map { [.permissionMode($0)] } ?? []
        case "compact_boundary": return [.event(.words(.notice, "the conversation was compacted"))]
        case "api_retry":
            let status = value["error_status"]?.integer.map { " (status \($0))" } ?? ""
            return [.event(.words(.notice, "the model endpoint failed\(status); the agent tries again"))]
        case let subtype: return [.event(.other("system/\(subtype ?? "")", value))]
        }
    }

    private mutating func assistant(_ value: JSONValue) -> [AgentSignal] {
        var signals: [AgentSignal] = []
        for block in value["message"]?["content"]?.array ?? [] {
            switch block["type"]?.string {
            case "text": signals.append(.event(.words(.text, block["text"]?.string ?? "")))
            case "thinking": signals.append(.event(.words(.thinking, block["thinking"]?.string ?? "")))
            case "tool_use":
                let id = block["id"]?.string ?? ""
                let name = block["name"]?.string ?? ""
                let input = block["input"] ?? [:]
                if name == "ExitPlanMode" { plans = [id: input["plan"]?.string ?? ""] }
                signals.append(.event(.toolCall(id: id, name: name, input: input)))
                if name == "TodoWrite", let list = ToolInput.list(input["todos"], text: "content") {
                    signals.append(.event(.words(.plan, list)))
                }
            case let type: signals.append(.event(.other(type ?? "block", block)))
            }
        }
        return signals
    }

    private func user(_ value: JSONValue) -> [AgentSignal] {
        if value["isReplay"]?.bool == true { return [.accepted] }
        let results = (value["message"]?["content"]?.array ?? []).filter { $0["type"]?.string == "tool_result" }
        return results.map { block in
            .event(
                .toolResult(
                    id: block["tool_use_id"]?.string ?? "",
                    text: block["content"].map(ToolInput.plainText) ?? "",
                    isError: block["is_error"]?.bool ?? false
                )
            )
        }
    }

    private func result(_ value: JSONValue) -> [AgentSignal] {
        var signals: [AgentSignal] = []
        if let usage = value["usage"] {
            var sum = AgentUsage(
                inputTokens: usage["input_tokens"]?.integer ?? 0,
                outputTokens: usage["output_tokens"]?.integer ?? 0,
                cacheReadTokens: usage["cache_read_input_tokens"]?.integer ?? 0,
                cacheCreationTokens: usage["cache_creation_input_tokens"]?.integer ?? 0
            )
            sum.turns = value["num_turns"]?.integer.map { Int($0) }
            signals.append(.usage(sum))
        }
        guard value["is_error"]?.bool == true else { return signals + [.turnEnded(nil)] }
        let errors = value["errors"]?.array?.compactMap(\.string).joined(separator: "; ")
        let text = value["result"]?.string ?? errors ?? value["subtype"]?.string ?? "no reason given"
        if text.contains(Self.noConversation) { return signals + [.turnEnded(Self.conversationGone)] }
        let status = value["api_error_status"]?.integer.map { Int($0) }
        return signals + [.turnEnded(EndpointFailure.reason(status: status, text: text, login: Self.login))]
    }

    private static let noConversation = "No conversation found"
    private static let conversationGone = FailureReason(
        .notFound,
        "the agent's own record of the conversation is gone",
        remedy: "start another session; the log of this one stays"
    )
    private static let login = "log in inside the environment: 'berth terminal open ENVIRONMENT -- claude', then /login"
}

extension Identifier where Kind == SessionMessageKind {
    /// Its 128 bits in the form of a UUID (RFC 9562).
    var uuid: String {
        let digits = "0123456789abcdefghjkmnpqrstvwxyz".utf8
        var value: UInt128 = 0
        for digit in text.utf8.suffix(26) {
            let number = digits.firstIndex(of: digit).map { digits.distance(from: digits.startIndex, to: $0) } ?? 0
            value = value << 5 | UInt128(number)
        }
        let bytes = (0..<16).map { UInt8(truncatingIfNeeded: value >> UInt128(120 - 8 * $0)) }
        let hex = Hex.encode(bytes)
        var text = ""
        for (index, digit) in hex.enumerated() {
            if [8, 12, 16, 20].contains(index) { text += "-" }
            text.append(digit)
        }
        return text
    }
}
