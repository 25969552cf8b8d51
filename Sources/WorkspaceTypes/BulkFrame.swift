public import Base

/// How a service that carries more than one answer speaks over its channel, both ways. Layout, numbers big-endian:
///
///     0      kind
///     1–4    bytes that follow
///     5–…    the kind's own
///
/// 1 item (JSON), 2 data (bytes), 3 end (JSON of the result, or empty), 4 refusal (JSON with `code` and `message`). What
/// ends without 3 or 4 was cut off.
public enum BulkFrame: Sendable, Equatable {
    case item([UInt8])
    case data(ArraySlice<UInt8>)
    case end([UInt8])
    case refusal([UInt8])

    public static let headerLength = 5
    /// The longest payload of one frame.
    public static let maximumPayload = 4 << 20
    /// What a sender puts into one frame of data.
    public static let pieceBytes = 64 << 10

    public func encoded() -> [UInt8] {
        switch self {
        case .item(let bytes): Self.frame(1, bytes[...])
        case .data(let bytes): Self.frame(2, bytes)
        case .end(let bytes): Self.frame(3, bytes[...])
        case .refusal(let bytes): Self.frame(4, bytes[...])
        }
    }

    /// The header of a frame of data.
    public static func dataHeader(count: Int) -> [UInt8] { header(2, count) }

    private static func frame(_ kind: UInt8, _ payload: ArraySlice<UInt8>) -> [UInt8] {
        header(kind, payload.count) + payload
    }

    private static func header(_ kind: UInt8, _ count: Int) -> [UInt8] {
        let length = UInt32(count)
        return [
            kind, UInt8(truncatingIfNeeded: length >> 24), UInt8(truncatingIfNeeded: length >> 16),
            UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length),
        ]
    }

    /// Takes frames out of bytes as they come.
    public struct Parser: Sendable {
        private var bytes: [UInt8] = []
        private var start = 0

        public init() {}

        /// Bytes that no frame was made of yet.
        public var count: Int { bytes.count - start }

        public mutating func append(_ more: some Sequence<UInt8>) {
            if start == bytes.count {
                bytes.removeAll(keepingCapacity: true)
                start = 0
            } else if start > maximumPayload / 4 {
                bytes.removeFirst(start)
                start = 0
            }
            bytes.append(contentsOf: more)
        }

        /// nil: more bytes are needed. Throws `protocol_violation`.
        public mutating func next() throws(BerthError) -> BulkFrame? {
            guard count >= headerLength else { return nil }
            let kind = bytes[start]
            let length = bytes[start + 1..<start + 5].reduce(0) { $0 << 8 | Int($1) }
            guard (1...4).contains(kind), length <= maximumPayload else {
                throw BerthError(.protocolViolation, "a service spoke what is no frame")
            }
            guard count >= headerLength + length else { return nil }
            let payload = bytes[start + headerLength..<start + headerLength + length]
            start += headerLength + length
            switch kind {
            case 1: return .item(Array(payload))
            case 2: return .data(payload)
            case 3: return .end(Array(payload))
            default: return .refusal(Array(payload))
            }
        }
    }
}
