public import Base

/// A JSON object whose `type` says which message it is.
public protocol TaggedMessage: Sendable {
    var tag: String { get }
    var body: any Codable & Sendable { get }
    /// nil for a tag that this version does not know.
    init?(tag: String, from decoder: any Decoder) throws
}

/// Encoding and decoding of text frames.
public enum MessageCodec {
    public static func encode(_ message: some TaggedMessage) throws -> [UInt8] {
        try JSONText.encode(Outgoing(tag: message.tag, body: message.body))
    }

    /// - Returns: nil for a message of a type not known here, which a peer of any version must pass over.
    /// - Throws: `protocolViolation` naming the field at fault.
    public static func decode<Message: TaggedMessage>(
        _: Message.Type,
        from bytes: [UInt8]
    ) throws(BerthError) -> Message? {
        do {
            return try JSONText.decode(Incoming<Message>.self, from: bytes).message
        } catch let error as DecodingError {
            throw BerthError(.protocolViolation, "the message does not fit the worker protocol: \(error.summary)")
        } catch {
            throw BerthError(.protocolViolation, "the message is not JSON", detail: String(describing: error))
        }
    }

    private enum TagKey: String, CodingKey { case type }

    private struct Outgoing: Encodable {
        let tag: String
        let body: any Codable & Sendable

        func encode(to encoder: any Encoder) throws {
            try body.encode(to: encoder)
            var container = encoder.container(keyedBy: TagKey.self)
            try container.encode(tag, forKey: .type)
        }
    }

    private struct Incoming<Message: TaggedMessage>: Decodable {
        let message: Message?

        init(from decoder: any Decoder) throws {
            let tag = try decoder.container(keyedBy: TagKey.self).decode(String.self, forKey: .type)
            message = try Message(tag: tag, from: decoder)
        }
    }
}

extension DecodingError {
    /// The field's path and the problem, in words for people.
    var summary: String {
        switch self {
        case .keyNotFound(let key, let context):
            "\(Self.path(context.codingPath + [key])) is missing"
        case .typeMismatch(let type, let context):
            "\(Self.path(context.codingPath)) is not a \(type)"
        case .valueNotFound(let type, let context):
            "\(Self.path(context.codingPath)) is null, not a \(type)"
        case .dataCorrupted(let context):
            "\(Self.path(context.codingPath)): \(context.debugDescription)"
        @unknown default:
            "it cannot be decoded"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.isEmpty ? "the message" : keys.map(\.stringValue).joined(separator: ".")
    }
}
