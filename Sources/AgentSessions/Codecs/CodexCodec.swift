public import Base
public import Domain

/// The app server of the Codex CLI: JSON-RPC in lines, without its version member (its own `generate-json-schema`;
/// checked with 0.163.0). A conversation is a thread, a message a turn of it.
public struct CodexCodec: AgentCodec {
    private var rpc = JSONRPC(hasVersion: false)
    private var thread: String?
    private var turn: String?
    /// Requests of the server's that wait for a person, by the text of their id.
    private var waiting: [String: Waiting] = [:]
    /// Files of a change that has begun: the question whether it may be made names it alone.
    private var changes: [String: String] = [:]

    private struct Waiting: Sendable, Codable, Equatable {
        var id: JSONValue
        var method: String
    }

    public init() {}

    public var hasProcessPerTurn: Bool { false }

    private static func approval(_ mode: PermissionMode) throws(BerthError) -> JSONValue {
        switch mode {
        case .standard, .acceptEdits: return "untrusted"
        case .bypass: return "never"
        default:
            throw BerthError(
                .unsupported,
                "Codex has no permission mode '\(mode)'",
                field: "permissionMode",
                remedy: "default, acceptEdits or bypassPermissions"
            )
        }
    }

    public func launch(_ context: AgentContext, message: String?) throws(BerthError) -> SessionLaunch {
        _ = try Self.approval(context.permissionMode)
        return SessionLaunch(arguments: ["codex", "app-server"], variables: ["NO_COLOR": "1", "RUST_LOG": "error"])
    }

    public mutating func open(_ context: AgentContext) -> [[UInt8]] {
        self = CodexCodec()
        let client: JSONValue = ["name": "berth", "title": "Berth", "version": "1"]
        return [rpc.request("initialize", ["clientInfo": client])]
    }

    /// The environment is the sandbox: one of the CLI's own would only stand in the way inside it.
    private func settings(_ context: AgentContext) -> [String: JSONValue] {
        var members: [String: JSONValue] = ["cwd": .string(context.directory)]
        members["approvalPolicy"] = (try? Self.approval(context.permissionMode)) ?? "untrusted"
        if let model = context.model { members["model"] = .string(model) }
        return members
    }

    private mutating func begin(_ context: AgentContext) -> [[UInt8]] {
        var members = settings(context)
        members["sandbox"] = "danger-full-access"
        if let instructions = context.instructions { members["developerInstructions"] = .string(instructions) }
        let first = rpc.notification("initialized", [:])
        if let known = context.agentSessionID {
            members["threadId"] = .string(known)
            members["excludeTurns"] = true
            return [first, rpc.request("thread/resume", .object(members))]
        }
        return [first, rpc.request("thread/start", .object(members))]
    }

    public mutating func say(_ message: SessionMessage, _ context: AgentContext) -> [[UInt8]] {
        var members = settings(context)
        members["threadId"] = .string(thread ?? "")
        members["clientUserMessageId"] = .string(message.id.text)
        members["input"] = [["type": "text", "text": .string(message.text)]]
        return [rpc.request("turn/start", .object(members))]
    }

    public mutating func answer(_ request: SessionRequest, _ answer: SessionAnswer) -> [[UInt8]] {
        guard let known = waiting.removeValue(forKey: request.id) else { return [] }
        switch known.method {
        case "item/tool/requestUserInput":
            let answers = (answer.answers ?? [:]).mapValues { text -> JSONValue in ["answers": [.string(text)]] }
            guard answer.decision != .deny else {
                return [rpc.refusal(known.id, -32000, answer.message ?? "the user gave no answer")]
            }
            return [rpc.result(known.id, ["answers": .object(answers)])]
        default:
            let decision =
                switch answer.decision {
                case .allow: "accept"
                case .allowAlways: "acceptForSession"
                case .deny: answer.by == .interrupt ? "cancel" : "decline"
                }
            return [rpc.result(known.id, ["decision": .string(decision)])]
        }
    }

    public mutating func interrupt() -> [[UInt8]] {
        guard let thread, let turn else { return [] }
        return [rpc.request("turn/interrupt", ["threadId": .string(thread), "turnId": .string(turn)])]
    }

    /// Every turn names its settings.
    public mutating func change(_ change: SessionChange) throws(BerthError) -> [[UInt8]]? {
        if let mode = change.permissionMode { _ = try Self.approval(mode) }
        return []
    }

    public func explain(_ exit: AgentExit, errors: String) -> FailureReason {
        explained("the Codex CLI", exit, errors)
    }
}

// Reading.
extension CodexCodec {
    private static let login = "log in inside the environment: 'berth terminal open ENVIRONMENT -- codex login'"

    public mutating func read(_ line: [UInt8], _ context: AgentContext) -> AgentReading {
        guard let value = try? JSONValue(parsing: line) else {
            return AgentReading([.event(.words(.notice, String(decoding: line, as: UTF8.self)))])
        }
        switch rpc.read(value) {
        case .result("initialize", _): return AgentReading(lines: begin(context))
        case .result("thread/start", let result), .result("thread/resume", let result): return opened(result)
        case .result("turn/start", let result):
            turn = result["turn"]?["id"]?.string
            return AgentReading([.accepted])
        case .failure("thread/resume", let message), .failure("thread/start", let message),
            .failure("initialize", let message):
            return AgentReading([
                .turnEnded(FailureReason(.agentFailed, "the Codex CLI does not begin: \(message)"))
            ])
        case .failure("turn/start", let message):
            return AgentReading([.turnEnded(EndpointFailure.reason(status: nil, text: message, login: Self.login))])
        case .failure(let method, let message):
            return AgentReading([.event(.words(.notice, "\(method) was refused: \(message)"))])
        case .result, nil: return AgentReading()
        case .notification(let method, let parameters): return AgentReading(noted(method, parameters))
        case .request(let id, let method, let parameters): return asked(id, method, parameters)
        }
    }

    private mutating func opened(_ result: JSONValue) -> AgentReading {
        guard let id = result["thread"]?["id"]?.string else { return AgentReading() }
        thread = id
        var signals: [AgentSignal] = [.conversation(id: id, transcript: result["thread"]?["path"]?.string)]
        if let model = result["model"]?.string { signals.append(.model(model)) }
        return AgentReading(signals + [.ready])
    }

    private mutating func noted(_ method: String, _ parameters: JSONValue) -> [AgentSignal] {
        switch method {
        case "turn/started":
            turn = parameters["turn"]?["id"]?.string
            return []
        case "item/started": return started(parameters["item"] ?? [:])
        case "item/completed": return completed(parameters["item"] ?? [:])
        case "turn/plan/updated":
            return ToolInput.list(parameters["plan"], text: "step").map { [.event(.words(.plan, $0))] } ?? []
        case "thread/tokenUsage/updated":
            guard let last = parameters["tokenUsage"]?["last"] else { return [] }
            let cached = last["cachedInputTokens"]?.integer ?? 0
            return [
                .usage(
                    AgentUsage(
                        inputTokens: max(0, (last["inputTokens"]?.integer ?? 0) - cached),
                        outputTokens: last["outputTokens"]?.integer ?? 0,
                        cacheReadTokens: cached
                    )
                )
            ]
        case "turn/completed": return ended(parameters["turn"] ?? [:])
        case "error":
            let text = parameters["error"]?["message"]?.string ?? "an error without a reason"
            return parameters["willRetry"]?.bool == true
                ? [.event(.words(.notice, "\(text); the agent tries again"))] : []
        case "serverRequest/resolved":
            guard let id = parameters["requestId"]?.text, waiting.removeValue(forKey: id) != nil else { return [] }
            return [.unasked(id)]
        case "thread/compacted": return [.event(.words(.notice, "the conversation was compacted"))]
        default: return []
        }
    }

    private mutating func started(_ item: JSONValue) -> [AgentSignal] {
        let id = item["id"]?.string ?? ""
        switch item["type"]?.string {
        case "commandExecution":
            let input: JSONValue = ["command": item["command"] ?? .null, "cwd": item["cwd"] ?? .null]
            return [.event(.toolCall(id: id, name: "shell", input: input))]
        case "fileChange":
            let paths = (item["changes"]?.array ?? []).compactMap { $0["path"]?.string }
            changes[id] = paths.joined(separator: ", ")
            return [.event(.toolCall(id: id, name: "edit", input: ["changes": item["changes"] ?? []]))]
        case "mcpToolCall", "dynamicToolCall":
            let name = [item["server"]?.string, item["tool"]?.string].compactMap(\.self).joined(separator: "/")
            return [.event(.toolCall(id: id, name: name, input: item["arguments"] ?? [:]))]
        case "webSearch":
            return [.event(.toolCall(id: id, name: "webSearch", input: ["query": item["query"] ?? .null]))]
        default: return []
        }
    }

    private mutating func completed(_ item: JSONValue) -> [AgentSignal] {
        let id = item["id"]?.string ?? ""
        let failed = ["failed", "declined"].contains(item["status"]?.string ?? "")
        switch item["type"]?.string {
        case "agentMessage": return [.event(.words(.text, item["text"]?.string ?? ""))]
        case "plan": return [.event(.words(.plan, item["text"]?.string ?? ""))]
        case "reasoning":
            let parts = (item["summary"]?.array ?? []) + (item["content"]?.array ?? [])
            let text = parts.compactMap { $0.string ?? $0["text"]?.string }.joined(separator: "\n")
            return text.isEmpty ? [] : [.event(.words(.thinking, text))]
        case "commandExecution":
            let code = item["exitCode"]?.integer
            let output = item["aggregatedOutput"]?.string ?? item["status"]?.string ?? ""
            return [.event(.toolResult(id: id, text: output, isError: failed || (code ?? 0) != 0))]
        case "fileChange":
            changes[id] = nil
            return [.event(.toolResult(id: id, text: item["status"]?.string ?? "", isError: failed))]
        case "mcpToolCall", "dynamicToolCall":
            let content = item["result"]?["content"] ?? item["contentItems"] ?? item["error"]?["message"] ?? ""
            return [.event(.toolResult(id: id, text: ToolInput.plainText(content), isError: failed))]
        case "webSearch": return [.event(.toolResult(id: id, text: "", isError: false))]
        case "contextCompaction": return [.event(.words(.notice, "the conversation was compacted"))]
        default: return []
        }
    }

    private mutating func ended(_ turn: JSONValue) -> [AgentSignal] {
        self.turn = nil
        guard turn["status"]?.string == "failed" else { return [.turnEnded(nil)] }
        let error = turn["error"] ?? [:]
        let info = error["codexErrorInfo"]
        var status: Int?
        if case .object(let members)? = info {
            status = members.values.lazy.compactMap { $0["httpStatusCode"]?.integer }.first.map { Int($0) }
        }
        if info?.string == "unauthorized" { status = 401 }
        if info?.string == "rateLimitExceeded" { status = 429 }
        if info?.string == "serverOverloaded" || info?.string == "internalServerError" { status = 503 }
        let text = error["message"]?.string ?? "no reason given"
        return [.turnEnded(EndpointFailure.reason(status: status, text: text, login: Self.login))]
    }

    private mutating func asked(_ id: JSONValue, _ method: String, _ parameters: JSONValue) -> AgentReading {
        let item = parameters["itemId"]?.string
        var request = SessionRequest(id: id.text, kind: .permission, toolCallId: item, title: "")
        switch method {
        case "item/commandExecution/requestApproval":
            request.tool = "shell"
            request.title = parameters["command"]?.string ?? parameters["reason"]?.string ?? "run a command"
            request.input = ["command": parameters["command"] ?? .null, "reason": parameters["reason"] ?? .null]
            request.allowsAlways = true
        case "item/fileChange/requestApproval":
            request.tool = "Edit"
            request.title = item.flatMap { changes[$0] } ?? parameters["reason"]?.string ?? "change files"
            request.allowsAlways = true
        case "item/tool/requestUserInput":
            request.kind = .question
            request.questions = (parameters["questions"]?.array ?? []).map { question in
                SessionRequest.Question(
                    id: question["id"]?.string ?? "",
                    header: question["header"]?.string,
                    text: question["question"]?.string ?? "",
                    options: (question["options"]?.array ?? []).map { option in
                        let label = option["label"]?.string ?? ""
                        return .init(id: label, label: label, about: option["description"]?.string)
                    }
                )
            }
            request.title = request.questions.first?.text ?? ""
        default:
            return AgentReading(
                [.event(.words(.notice, "the agent asked for '\(method)', which is not offered here"))],
                lines: [rpc.refusal(id, -32601, "not offered")]
            )
        }
        waiting[request.id] = Waiting(id: id, method: method)
        return AgentReading([.asked(request)])
    }
}
