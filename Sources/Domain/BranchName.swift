public import Base

/// A git branch name, valid by git's own rules (git-check-ref-format(1), with `--branch`).
public struct BranchName: Hashable, Sendable, CustomStringConvertible {
    public let text: String

    public var description: String { text }

    public init(_ text: String, field: String = "branch") throws(BerthError) {
        if let problem = Self.problem(text) {
            throw BerthError(
                .invalidValue,
                "'\(text.prefix(120))' is no branch name: \(problem)",
                field: field,
                remedy: "use letters, digits, '-', '_', '.' and '/'"
            )
        }
        self.text = text
    }

    /// `berth/<words of the task>-<end of the id>`, always valid.
    public init(task: String, workspace: WorkspaceID) {
        let slug = Self.slug(task, limit: 40)
        text = "berth/\(slug.isEmpty ? "task" : slug)-\(workspace.text.suffix(6))"
    }

    /// Lower-case ASCII letters and digits of the first words, joined with `-`.
    public static func slug(_ text: String, limit: Int) -> String {
        var words: [String] = []
        var length = 0
        for word in text.lowercased().split(whereSeparator: { !($0.isASCII && ($0.isLetter || $0.isNumber)) }) {
            guard length + word.count + 1 <= limit else {
                if words.isEmpty { words.append(String(word.prefix(limit))) }
                break
            }
            words.append(String(word))
            length += word.count + 1
        }
        return words.joined(separator: "-")
    }

    private static func problem(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        if bytes.isEmpty { return "it is empty" }
        if bytes.count > 240 { return "it is longer than 240 bytes" }
        if text.hasMarkedSign { return "a combining mark follows a sign" }
        if text == "@" || text == "HEAD" { return "git keeps that name for itself" }
        if text.looksLikeOption { return "it begins with '-'" }
        if text.hasSuffix(".") { return "it ends with '.'" }
        for forbidden in ["..", "@{", "//"] where text.contains(forbidden) { return "it contains '\(forbidden)'" }
        for byte in bytes {
            if byte < 0x20 || byte == 0x7F { return "it contains a control character" }
            if " ~^:?*[\\".utf8.contains(byte) { return "it contains '\(Character(Unicode.Scalar(byte)))'" }
        }
        for part in text.split(separator: "/", omittingEmptySubsequences: false) {
            if part.isEmpty { return "a part between '/' is empty" }
            if part.hasPrefix(".") { return "a part begins with '.'" }
            if part.hasSuffix(".lock") { return "a part ends with '.lock'" }
        }
        return nil
    }
}
