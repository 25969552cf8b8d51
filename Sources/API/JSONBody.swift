public import Base
import FoundationEssentials

/// Encoding and strict decoding of bodies.
public enum JSONBody {
    public static func encode(_ value: some Encodable, pretty: Bool = false) throws -> [UInt8] {
        guard pretty else { return try JSONText.encode(value) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return Array(try encoder.encode(value))
    }

    /// Decodes a request: every field must be known to `schema`.
    public static func decode<Value: Decodable>(
        _: Value.Type,
        from bytes: [UInt8],
        schema: Schema
    ) throws(BerthError) -> Value {
        let value = try parse(bytes)
        try schema.check(value)
        // What was checked, not what came in: the coder's own reading of a text, of numbers above all, is another one.
        return try decode(Value.self, from: Array(value.text.utf8))
    }

    /// Decodes an answer of the server: unknown fields are passed over, so an older client reads a newer server.
    public static func decode<Value: Decodable>(_: Value.Type, from bytes: [UInt8]) throws(BerthError) -> Value {
        do {
            return try JSONText.decode(Value.self, from: bytes)
        } catch let error as BerthError {
            throw error
        } catch let error as DecodingError {
            throw Self.error(error)
        } catch {
            throw BerthError(.invalidJSON, "the body is not JSON", detail: String(describing: error))
        }
    }

    public static func parse(_ bytes: [UInt8]) throws(BerthError) -> JSONValue {
        guard !bytes.isEmpty else {
            throw BerthError(.invalidJSON, "the body is empty", remedy: "send a JSON object")
        }
        do {
            return try JSONValue(parsing: bytes, uniqueNames: true)
        } catch {
            throw BerthError(.invalidJSON, "the body is not valid JSON: \(error.message)", remedy: error.remedy)
        }
    }

    private static func error(_ error: DecodingError) -> BerthError {
        func field(_ context: DecodingError.Context, _ key: (any CodingKey)? = nil) -> String? {
            let keys = context.codingPath + (key.map { [$0] } ?? [])
            return keys.isEmpty ? nil : keys.map(\.stringValue).joined(separator: ".")
        }
        return switch error {
        case .keyNotFound(let key, let context):
            BerthError(.missingField, "the field is missing", field: field(context, key))
        case .typeMismatch(let type, let context):
            BerthError(.invalidValue, "expected a \(type)", field: field(context))
        case .valueNotFound(let type, let context):
            BerthError(.invalidValue, "expected a \(type), got null", field: field(context))
        case .dataCorrupted(let context):
            BerthError(.invalidValue, context.debugDescription, field: field(context))
        @unknown default:
            BerthError(.invalidJSON, "the body cannot be decoded", detail: String(describing: error))
        }
    }
}
