import Base
import FoundationEssentials

/// JSON kept as text in a column; no query looks into it.
public enum JSONColumn {
    /// Keys sorted, slashes as they are, so that equal values have equal text.
    public static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}

extension Row {
    public func json<Value: Decodable>(_ name: String) throws -> Value { try decoded(name, try text(name)) }

    public func optionalJSON<Value: Decodable>(_ name: String) throws -> Value? {
        guard let text = try optionalText(name) else { return nil }
        return try decoded(name, text)
    }

    private func decoded<Value: Decodable>(_ name: String, _ text: String) throws -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
        } catch {
            throw BerthError(
                .internal,
                "the database holds something this version does not expect",
                detail: "column \(name) is no \(Value.self): \(error)"
            )
        }
    }
}
