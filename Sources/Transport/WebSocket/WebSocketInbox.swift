/// Messages that came in and that nobody has taken.
struct WebSocketInbox {
    private var messages: [WebSocketMessage] = []
    private var start = 0
    private(set) var bytes = 0
    private let limit: Int
    /// Small messages cost more than their bytes.
    private static let messageLimit = 1024

    init(limit: Int) { self.limit = limit }

    var isEmpty: Bool { start == messages.count }
    var isFull: Bool { bytes > limit || messages.count - start > Self.messageLimit }

    mutating func append(_ message: WebSocketMessage) {
        messages.append(message)
        bytes += message.byteCount
    }

    mutating func takeFirst() -> WebSocketMessage? {
        guard start < messages.count else { return nil }
        let message = messages[start]
        messages[start] = .binary([])
        start += 1
        bytes -= message.byteCount
        if isEmpty {
            messages.removeAll(keepingCapacity: messages.capacity <= 64)
            start = 0
        }
        return message
    }

    /// For a taken message whose taker was gone.
    mutating func putBack(_ message: WebSocketMessage) {
        if start > 0 {
            start -= 1
            messages[start] = message
        } else {
            messages.insert(message, at: 0)
        }
        bytes += message.byteCount
    }
}
