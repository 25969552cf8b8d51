public import Base

extension MessageCodec {
    /// As ``decode(_:from:)``, for a server, which stores what workers say: U+0000, which no database keeps in a text,
    /// becomes U+FFFD. Chunks of output stay as they are; they are bytes.
    public static func decodeStorable(_ bytes: [UInt8]) throws(BerthError) -> WorkerMessage? {
        guard holdsEscapedNUL(bytes), let value = try? JSONValue(parsing: bytes),
            !["stdout", "stderr"].contains(value["type"]?.string)
        else { return try decode(WorkerMessage.self, from: bytes) }
        return try decode(WorkerMessage.self, from: Array(value.storable.text.utf8))
    }

    private static func holdsEscapedNUL(_ bytes: [UInt8]) -> Bool {
        let escape = Array(#"\u0000"#.utf8)
        guard bytes.count >= escape.count else { return false }
        return bytes.indices.dropLast(escape.count - 1).contains { index in
            bytes[index] == escape[0] && bytes[index..<index + escape.count].elementsEqual(escape)
        }
    }
}

extension JSONValue {
    fileprivate var storable: JSONValue {
        switch self {
        case .string(let text): .string(Self.storable(text))
        case .array(let elements): .array(elements.map(\.storable))
        case .object(let members):
            .object(
                Dictionary(
                    members.map { (Self.storable($0.key), $0.value.storable) },
                    uniquingKeysWith: { first, _ in first }
                )
            )
        case .null, .bool, .integer, .number: self
        }
    }

    private static func storable(_ text: String) -> String { text.replacing("\u{0}", with: "\u{FFFD}") }
}
