public import Base

/// A message of the persona protocols: one JSON object alone on a line of the agent's text, with exactly one top-level
/// key, the protocol's name (origins 4.2).
public struct PersonaMessage: Sendable, Equatable {
    /// `manual_review`, `user_message`, `persona_action`, `emit_event`.
    public var name: String
    public var payload: JSONValue

    public init(name: String, payload: JSONValue) {
        self.name = name
        self.payload = payload
    }

    static let names = ["manual_review", "user_message", "persona_action", "emit_event"]

    /// The messages in one text block; malformed ones stay plain text.
    public static func messages(in text: String) -> [PersonaMessage] {
        guard text.contains("{") else { return [] }
        return text.split(whereSeparator: \.isNewline).compactMap { line in
            let line = String(line).trimmed
            guard line.hasPrefix("{"), line.hasSuffix("}"), let value = try? JSONValue(parsing: line.utf8),
                case .object(let members) = value, members.count == 1, let member = members.first,
                names.contains(member.key)
            else { return nil }
            return PersonaMessage(name: member.key, payload: member.value)
        }
    }
}
