public import Base

/// What an agent may do without asking. Named as the Claude CLI does; each codec has its agent's own words for them.
public struct PermissionMode: RawRepresentable, Sendable, Codable, Hashable, CustomStringConvertible {
    public let rawValue: String

    public init(rawValue: String) { self.rawValue = rawValue }

    public var description: String { rawValue }

    /// Asks for whatever is more than looking.
    public static let standard = PermissionMode(rawValue: "default")
    /// Edits files of the workspace without asking.
    public static let acceptEdits = PermissionMode(rawValue: "acceptEdits")
    /// Looks, and makes a plan.
    public static let plan = PermissionMode(rawValue: "plan")
    /// Asks for nothing.
    public static let bypass = PermissionMode(rawValue: "bypassPermissions")

    public static let known = [standard, acceptEdits, plan, bypass]

    public init(checking text: String, field: String) throws(BerthError) {
        self.init(rawValue: text)
        guard Self.known.contains(self) else {
            throw BerthError(
                .invalidValue,
                "'\(text.prefix(40))' is no permission mode",
                field: field,
                remedy: "one of \(Self.known.map(\.rawValue).joined(separator: ", "))"
            )
        }
    }
}

/// What needs no person (origins 1.6).
enum PermissionPolicy {
    private static let reading: Set<String> = [
        "Glob", "Grep", "Read", "NotebookRead", "Task", "TodoWrite", "TodoRead",
    ]
    private static let editing: Set<String> = ["Write", "Edit", "MultiEdit", "UndoEdit", "NotebookEdit"]

    static func allows(_ tool: String?, in mode: PermissionMode) -> Bool {
        guard let tool else { return false }
        return reading.contains(tool) || mode == .acceptEdits && editing.contains(tool)
    }
}
