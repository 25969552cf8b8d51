public import Base

/// What is worth showing of a tool's input and output.
public enum ToolInput {
    /// The command, path or pattern, on one line; nil where there is none.
    public static func brief(_ input: JSONValue) -> String? {
        for key in ["command", "file_path", "path", "pattern", "query", "url", "description", "prompt"] {
            if let text = input[key]?.string { return String(text.trimmed.prefix { !$0.isNewline }) }
        }
        return nil
    }

    /// What a tool gave, blocks one below the other.
    static func plainText(_ content: JSONValue) -> String {
        switch content {
        case .string(let text): text
        case .array(let blocks):
            blocks.map { $0["text"]?.string ?? $0["content"]?["text"]?.string ?? "[\($0["type"]?.string ?? "block")]" }
                .joined(separator: "\n")
        default: content.text
        }
    }

    /// Steps with their state, as a Markdown list.
    static func list(_ steps: JSONValue?, text: String) -> String? {
        guard let steps = steps?.array, !steps.isEmpty else { return nil }
        return steps.map { step in
            let state = step["status"]?.string ?? ""
            let mark = state == "completed" ? "x" : state.hasPrefix("in") ? "~" : " "
            return "- [\(mark)] \(step[text]?.string ?? "")"
        }.joined(separator: "\n")
    }
}
