import Base
import Domain

/// One line of the Claude CLI's stream-json (origins 1.6; checked against CLI 2.1.327).
enum ClaudeLine {
    /// - Parameter messageID: the message of the line before; one usage event is made per message, hence per turn.
    static func events(of line: [UInt8], messageID: inout String?) -> [AgentEvent] {
        let isBlank = line.allSatisfy { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }
        guard !isBlank else { return [] }
        guard let value = try? JSONValue(parsing: line), case .object = value, let type = value["type"]?.string else {
            return [.other(type: "text", json: JSONText.quoted(String(decoding: line, as: UTF8.self)))]
        }
        switch type {
        case "system" where value["subtype"]?.string == "init":
            return [
                .started(
                    agentSessionID: value["session_id"]?.string,
                    model: value["model"]?.string,
                    tools: value["tools"]?.array?.compactMap(\.string) ?? []
                )
            ]
        case "assistant": return assistant(value, messageID: &messageID)
        case "user": return toolResults(value) ?? [other(type, line)]
        case "result": return [.result(verdict(value))]
        default: return [other(type, line)]
        }
    }

    private static func other(_ type: String, _ line: [UInt8]) -> AgentEvent {
        .other(type: type, json: String(decoding: line, as: UTF8.self))
    }

    private static func assistant(_ value: JSONValue, messageID: inout String?) -> [AgentEvent] {
        var events = blocks(of: value).map { block -> AgentEvent in
            switch block["type"]?.string {
            case "text": .text(block["text"]?.string ?? "")
            case "thinking": .thinking(block["thinking"]?.string ?? "")
            case "tool_use":
                .toolCall(
                    id: block["id"]?.string ?? "",
                    name: block["name"]?.string ?? "",
                    input: (block["input"] ?? .object([:])).text
                )
            case let type: .other(type: type ?? "block", json: block.text)
            }
        }
        let id = value["message"]?["id"]?.string
        if let usage = value["message"]?["usage"], id == nil || id != messageID {
            events.append(.usage(self.usage(usage)))
        }
        messageID = id
        return events
    }

    /// nil where the line carries none: the user's own words, replayed.
    private static func toolResults(_ value: JSONValue) -> [AgentEvent]? {
        let results = blocks(of: value).filter { $0["type"]?.string == "tool_result" }
        guard !results.isEmpty else { return nil }
        return results.map { block in
            .toolResult(
                id: block["tool_use_id"]?.string ?? "",
                content: block["content"].map(plainText) ?? "",
                isError: block["is_error"]?.bool ?? false
            )
        }
    }

    private static func blocks(of value: JSONValue) -> [JSONValue] {
        switch value["message"]?["content"] {
        case .array(let blocks): blocks
        case .string(let text): [.object(["type": .string("text"), "text": .string(text)])]
        default: []
        }
    }

    private static func plainText(_ content: JSONValue) -> String {
        switch content {
        case .string(let text): text
        case .array(let blocks):
            blocks.map { $0["text"]?.string ?? "[\($0["type"]?.string ?? "block")]" }
                .joined(separator: "\n")
        default: content.text
        }
    }

    private static func usage(_ value: JSONValue) -> AgentUsage {
        AgentUsage(
            inputTokens: value["input_tokens"]?.integer ?? 0,
            outputTokens: value["output_tokens"]?.integer ?? 0,
            cacheReadTokens: value["cache_read_input_tokens"]?.integer ?? 0,
            cacheCreationTokens: value["cache_creation_input_tokens"]?.integer ?? 0
        )
    }

    private static func verdict(_ value: JSONValue) -> AgentVerdict {
        var usage = value["usage"].map(usage) ?? AgentUsage()
        usage.costUSD = value["total_cost_usd"]?.number
        usage.turns = value["num_turns"]?.integer.map { Int($0) }
        return AgentVerdict(
            isError: value["is_error"]?.bool ?? false,
            subtype: value["subtype"]?.string ?? "",
            text: value["result"]?.string,
            usage: usage,
            durationMs: value["duration_ms"]?.integer,
            agentSessionID: value["session_id"]?.string,
            endpointStatus: value["api_error_status"]?.integer.map { Int($0) }
        )
    }
}
