import Base

/// JSON form: an object whose `type` is the case; a tool's input is a JSON value, not text.
extension AgentEvent: Codable {
    private enum Key: String, CodingKey {
        case type, agentSessionID, model, tools, text, id, name, input, content, isError, usage, verdict, kind, json
    }

    private enum Kind: String, Codable {
        case started, text, thinking, toolCall, toolResult, usage, result, other
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        func text(_ key: Key) throws -> String { try container.decode(String.self, forKey: key) }
        switch try container.decode(Kind.self, forKey: .type) {
        case .started:
            self = .started(
                agentSessionID: try container.decodeIfPresent(String.self, forKey: .agentSessionID),
                model: try container.decodeIfPresent(String.self, forKey: .model),
                tools: try container.decodeIfPresent([String].self, forKey: .tools) ?? []
            )
        case .text: self = .text(try text(.text))
        case .thinking: self = .thinking(try text(.text))
        case .toolCall:
            let input = try container.decode(JSONValue.self, forKey: .input)
            self = .toolCall(id: try text(.id), name: try text(.name), input: input.text)
        case .toolResult:
            let isError = try container.decode(Bool.self, forKey: .isError)
            self = .toolResult(id: try text(.id), content: try text(.content), isError: isError)
        case .usage: self = .usage(try container.decode(AgentUsage.self, forKey: .usage))
        case .result: self = .result(try container.decode(AgentVerdict.self, forKey: .verdict))
        case .other: self = .other(type: try text(.kind), json: try text(.json))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .started(let agentSessionID, let model, let tools):
            try container.encode(Kind.started, forKey: .type)
            try container.encodeIfPresent(agentSessionID, forKey: .agentSessionID)
            try container.encodeIfPresent(model, forKey: .model)
            try container.encode(tools, forKey: .tools)
        case .text(let text):
            try container.encode(Kind.text, forKey: .type)
            try container.encode(text, forKey: .text)
        case .thinking(let text):
            try container.encode(Kind.thinking, forKey: .type)
            try container.encode(text, forKey: .text)
        case .toolCall(let id, let name, let input):
            try container.encode(Kind.toolCall, forKey: .type)
            try container.encode(id, forKey: .id)
            try container.encode(name, forKey: .name)
            try container.encode((try? JSONValue(parsing: input.utf8)) ?? .string(input), forKey: .input)
        case .toolResult(let id, let content, let isError):
            try container.encode(Kind.toolResult, forKey: .type)
            try container.encode(id, forKey: .id)
            try container.encode(content, forKey: .content)
            try container.encode(isError, forKey: .isError)
        case .usage(let usage):
            try container.encode(Kind.usage, forKey: .type)
            try container.encode(usage, forKey: .usage)
        case .result(let verdict):
            try container.encode(Kind.result, forKey: .type)
            try container.encode(verdict, forKey: .verdict)
        case .other(let type, let json):
            try container.encode(Kind.other, forKey: .type)
            try container.encode(type, forKey: .kind)
            try container.encode(json, forKey: .json)
        }
    }
}
