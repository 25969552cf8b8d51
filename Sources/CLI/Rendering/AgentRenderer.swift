import Base
import Domain
import FoundationEssentials

/// What an agent does, as lines for people: its words plain, tool calls compact, results dim.
struct AgentRenderer {
    let style: Style
    let width: Int

    func text(_ event: AgentEvent) -> String? {
        switch event {
        case .started(_, let model, _): return style.dim("● agent started" + (model.map { " (\($0))" } ?? "")) + "\n"
        case .text(let text): return text.trimmed.isEmpty ? nil : text.trimmed + "\n"
        case .thinking(let text):
            let first = Self.firstLine(text)
            return first.isEmpty ? nil : style.dim("∴ " + clipped(first, 2)) + "\n"
        case .toolCall(_, let name, let input):
            return style.cyan("▸ \(name)") + " " + clipped(Self.brief(input), name.count + 3) + "\n"
        case .toolResult(_, let content, let isError): return result(content, isError: isError)
        case .usage, .result, .other: return nil
        }
    }

    private func result(_ content: String, isError: Bool) -> String? {
        let lines = content.split(separator: "\n", omittingEmptySubsequences: true)
        guard !lines.isEmpty else { return nil }
        var text = ""
        for line in lines.prefix(3) {
            let shown = "  " + clipped(String(line), 2)
            text += (isError ? style.red(shown) : style.dim(shown)) + "\n"
        }
        if lines.count > 3 { text += style.dim("  … \(lines.count - 3) more lines") + "\n" }
        return text
    }

    /// What of a tool's input says most: its command, path or pattern.
    static func brief(_ input: String) -> String {
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: Data(input.utf8)) else { return input }
        for key in ["command", "file_path", "path", "pattern", "query", "url", "description", "prompt"] {
            if let text = value[key]?.string { return firstLine(text) }
        }
        return firstLine(input)
    }

    private static func firstLine(_ text: String) -> String {
        String(text.trimmed.prefix { !$0.isNewline })
    }

    private func clipped(_ text: String, _ used: Int) -> String {
        let room = max(20, width - used)
        return text.count > room ? text.prefix(room - 1) + "…" : text
    }
}
