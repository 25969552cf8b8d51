internal import Base

/// A stored line of a session's log.
public struct LoggedEvent: Sendable, Codable, Equatable {
    public var seq: Int64
    /// The `SessionEvent` as JSON.
    public var json: String

    public init(seq: Int64, json: String) {
        self.seq = seq
        self.json = json
    }

    /// As a `SessionAttachment` carries it.
    public func append(to text: inout [UInt8]) {
        text.append(contentsOf: "event ".utf8)
        JSONText.append(seq, to: &text)
        text.append(UInt8(ascii: " "))
        text.append(contentsOf: json.utf8)
        text.append(UInt8(ascii: "\n"))
    }
}
