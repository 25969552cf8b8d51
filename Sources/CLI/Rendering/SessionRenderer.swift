import Base
import Domain

/// An agent session's log, as lines for people.
struct SessionRenderer {
    let style: Style
    let width: Int

    func text(_ event: SessionEvent) -> String? {
        switch event.type {
        case .message: return event.message.flatMap(message)
        case .text: return event.text.map { $0.trimmed + "\n" }
        case .thinking: return event.text.map { style.dim("∴ " + clipped(Self.firstLine($0), 2)) + "\n" }
        case .toolCall:
            let name = event.name ?? ""
            return style.cyan("▸ \(name)") + " "
                + clipped(AgentRenderer.brief(event.input?.text ?? ""), name.count + 3) + "\n"
        case .toolResult: return result(event)
        case .plan where event.request == nil: return event.text.map { style.bold("plan") + "\n" + indented($0) }
        case .permission, .question, .plan: return event.request.map(request)
        case .answer: return event.answer.map { style.dim("  ↳ " + Self.answer($0)) + "\n" }
        case .status: return event.failure.map(failure)
        case .setting where event.name == "agentSessionId": return nil
        case .setting: return style.dim("● \(event.name ?? ""): \(event.text ?? "")") + "\n"
        case .notice: return event.text.map { style.dim("! " + clipped(Self.firstLine($0), 2)) + "\n" }
        default: return nil
        }
    }

    func text(gap: ClosedRange<Int64>) -> String {
        style.dim("[events \(gap.lowerBound) to \(gap.upperBound) are kept no longer]") + "\n"
    }

    private func message(_ message: SessionMessage) -> String? {
        let text = message.text.trimmed.split(separator: "\n", omittingEmptySubsequences: false).joined(
            separator: "\n  "
        )
        switch message.state {
        case .sent: return style.bold("❯ " + text) + "\n"
        case .cancelled: return style.dim("withdrawn: " + clipped(Self.firstLine(message.text), 11)) + "\n"
        case .pending, .accepted, .committed, .failed: return nil
        }
    }

    private func result(_ event: SessionEvent) -> String? {
        let lines = (event.text ?? "").split(separator: "\n", omittingEmptySubsequences: true)
        guard !lines.isEmpty else { return nil }
        var text = ""
        for line in lines.prefix(3) {
            let shown = "  " + clipped(String(line), 2)
            text += (event.isError == true ? style.red(shown) : style.dim(shown)) + "\n"
        }
        if lines.count > 3 { text += style.dim("  … \(lines.count - 3) more lines") + "\n" }
        return text
    }

    private func request(_ request: SessionRequest) -> String {
        var text: String
        switch request.kind {
        case .permission:
            text = style.yellow("? \(request.tool ?? "a tool") wants: ") + request.title + "\n"
        case .plan:
            text = style.yellow("? a plan, for your consent") + "\n" + indented(request.plan ?? "")
        case .question:
            text = ""
            for question in request.questions {
                text += style.yellow("? " + question.text) + "\n"
                for (index, option) in question.options.enumerated() {
                    text +=
                        "  \(index + 1)  \(option.label)" + (option.about.map { style.dim(" — \($0)") } ?? "") + "\n"
                }
            }
        }
        return text
    }

    private static func answer(_ answer: SessionAnswer) -> String {
        let word: String =
            switch answer.decision {
            case .allow: answer.answers == nil ? "allowed" : "answered"
            case .allowAlways: "allowed from now on"
            case .deny: "denied"
            }
        let words = answer.answers.map { $0.sorted { $0.key < $1.key }.map(\.value).joined(separator: "; ") }
        let why = [words, answer.message].compactMap(\.self).joined(separator: " ")
        let by = answer.by == .person ? "" : " (\(answer.by.rawValue))"
        return word + by + (why.isEmpty ? "" : ": " + firstLine(why))
    }

    private func failure(_ failure: FailureReason) -> String {
        style.red("✗ \(failure.message)") + "\n" + (failure.remedy.map { "  → \($0)\n" } ?? "")
    }

    private func indented(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { "  \($0)\n" }.joined()
    }

    private static func firstLine(_ text: String) -> String { String(text.trimmed.prefix { !$0.isNewline }) }

    private func clipped(_ text: String, _ used: Int) -> String {
        let room = max(20, width - used)
        return text.count > room ? text.prefix(room - 1) + "…" : text
    }
}
