import Base
import Synchronization

/// JSON kept as text in a column; no query looks into it.
public enum JSONColumn {
    /// Keys sorted, slashes as they are, so that equal values have equal text.
    public static func text(_ value: some Encodable) throws -> String {
        String(decoding: try JSONText.encode(value), as: UTF8.self)
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
            return try JSONText.decode(Value.self, from: text)
        } catch {
            throw BerthError(
                .internal,
                "the database holds something this version does not expect",
                detail: "column \(name) is no \(Value.self): \(error)"
            )
        }
    }
}

/// Decoded forms of JSON texts that many rows have in common, such as specs: equal texts are decoded once.
public final class JSONMemo<Value: Decodable & Sendable>: Sendable {
    private static var capacity: Int { 256 }
    private static var longestText: Int { 4096 }
    private let values = Mutex<[String: Value]>([:])

    public init() {}

    public func value(of text: String) throws -> Value {
        if let known = values.withLock({ $0[text] }) { return known }
        let value = try JSONText.decode(Value.self, from: text)
        guard text.utf8.count <= Self.longestText else { return value }
        values.withLock { values in
            if values.count >= Self.capacity { values.removeAll() }
            values[text] = value
        }
        return value
    }
}
