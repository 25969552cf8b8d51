import Base
import EventBus

/// A message that cannot be taken, on its way to the dead-letter topic: `{originalMessage, error, retryCount}` and where
/// it came from.
struct DeadLetter {
    /// Of a larger message only the start travels on: a topic for small messages could not hold it. Brokers usually take
    /// 1 MB, and as base64 this is a third of it.
    static let largest = 256 << 10

    var message: BusMessage
    var error: BerthError
    var retries: Int

    func outgoing(to topic: String) -> OutgoingMessage {
        let original = message.value ?? []
        let start = Array(original.prefix(Self.largest))
        var members: [String: JSONValue] = [
            "error": .string(error.description), "errorCode": .string(error.code.rawValue),
            "retryCount": .integer(Int64(retries)), "originalTopic": .string(message.topic),
            "originalPartition": .integer(Int64(message.partition)), "originalOffset": .integer(message.offset),
            "originalBytes": .integer(Int64(original.count)),
        ]
        // What is no text comes back to the byte as base64.
        // So does text that would be much longer in JSON: its control characters take six bytes each.
        let text = String(validating: start, as: UTF8.self).flatMap { text in
            text.utf8.contains(0) || text.utf8.count(where: { $0 < 0x20 }) > 64 << 10 ? nil : text
        }
        members["originalMessage"] = .string(text ?? Self.base64(start))
        if text == nil { members["originalEncoding"] = .string("base64") }
        if start.count < original.count { members["isTruncated"] = .bool(true) }
        if let key = message.key { members["originalKey"] = .string(String(decoding: key.prefix(1000), as: UTF8.self)) }
        return OutgoingMessage(
            topic: topic,
            key: Array(message.topic.utf8),
            value: Array(JSONValue.object(members).text.utf8),
            headers: [BusHeader("berth-error", text: error.code.rawValue)]
        )
    }

    static func base64(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        Base64.append(bytes, to: &text)
        return String(decoding: text, as: UTF8.self)
    }
}
