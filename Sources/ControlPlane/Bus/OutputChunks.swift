import Base
import Domain
import EventBus

/// Stored output as messages of the output topic: the documented `{type, executionId, chunk, timestamp}` with the place
/// of the chunk's first byte. The same range of bytes is always cut in the same way.
struct OutputChunks {
    /// Bytes of one message. The worst text is six times as long in JSON, still under a broker's usual 1 MB.
    static let size = 128 << 10

    var key: AttemptKey
    var organizationID: OrganizationID
    var requestedID: String?
    var topic: String
    var at: Timestamp

    /// - Parameter bytes: of the stream from `offset` on.
    func messages(_ stream: Domain.OutputStream, _ bytes: [UInt8], from offset: Int64) -> [OutgoingMessage] {
        var messages: [OutgoingMessage] = []
        var start = 0
        while start < bytes.count {
            let end = start + Self.cut(bytes[start..<min(bytes.count, start + Self.size)])
            messages.append(message(stream, Array(bytes[start..<end]), at: offset + Int64(start)))
            start = end
        }
        return messages
    }

    /// How many of these bytes make a message: all but the first bytes of a character whose rest is missing.
    static func cut(_ bytes: ArraySlice<UInt8>) -> Int {
        for back in 1...3 where bytes.count > back {
            let byte = bytes[bytes.endIndex - back]
            guard byte & 0xC0 != 0x80 else { continue }
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return length > back ? bytes.count - back : bytes.count
        }
        return bytes.count
    }

    private func message(_ stream: Domain.OutputStream, _ bytes: [UInt8], at offset: Int64) -> OutgoingMessage {
        let text = String(validating: bytes, as: UTF8.self)
        var members: [String: JSONValue] = [
            "type": .string(stream.rawValue), "executionId": .string(requestedID ?? key.executionID.text),
            "id": .string(key.executionID.text), "organizationId": .string(organizationID.text),
            "attempt": .integer(Int64(key.attempt)), "offset": .integer(offset),
            "bytes": .integer(Int64(bytes.count)), "chunk": .string(text ?? DeadLetter.base64(bytes)),
            "timestamp": .integer(at.milliseconds),
        ]
        // What is no text comes back to the byte as base64.
        if text == nil { members["encoding"] = "base64" }
        return OutgoingMessage(
            topic: topic,
            key: Array((requestedID ?? key.executionID.text).utf8),
            value: Array(JSONValue.object(members).text.utf8),
            headers: [
                BusHeader("berth-execution", text: key.executionID.text),
                BusHeader("berth-attempt", text: "\(key.attempt)"),
                BusHeader("berth-stream", text: stream.rawValue), BusHeader("berth-offset", text: "\(offset)"),
            ]
        )
    }
}
