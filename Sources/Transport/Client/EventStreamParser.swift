public import Base

/// One server-sent event.
public struct ServerSentEvent: Sendable, Equatable {
    /// `message` unless the server names it.
    public var event: String
    /// The last id the stream named, which a reconnecting client sends as `last-event-id`.
    public var id: String?
    public var data: String

    public init(event: String = "message", id: String? = nil, data: String) {
        self.event = event
        self.id = id
        self.data = data
    }
}

/// Bytes to events (WHATWG HTML, section 9.2.6). Pure; feed it any split of the bytes.
public struct EventStreamParser: Sendable {
    /// As the stream last named it.
    public private(set) var lastEventID: String?
    /// The wait before a reconnect that the server asked for, in milliseconds.
    public private(set) var retryMs: Int?

    private var line: [UInt8] = []
    private var event = ""
    private var data: [UInt8] = []
    private var hasData = false
    private var endedWithCR = false
    private var isFirstLine = true
    private let maximumEventBytes: Int

    public init(lastEventID: String? = nil, maximumEventBytes: Int = 16 * 1024 * 1024) {
        self.lastEventID = lastEventID
        self.maximumEventBytes = maximumEventBytes
    }

    /// The events that `bytes` complete. Throws `tooLarge`.
    public mutating func feed(_ bytes: [UInt8]) throws(BerthError) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            if endedWithCR {
                endedWithCR = false
                if rest.first == 0x0A {
                    rest = rest.dropFirst()
                    continue
                }
            }
            guard let end = rest.firstIndex(where: { $0 == 0x0A || $0 == 0x0D }) else {
                line.append(contentsOf: rest)
                try checkSize()
                break
            }
            line.append(contentsOf: rest[..<end])
            try checkSize()
            endedWithCR = rest[end] == 0x0D
            rest = rest[(end + 1)...]
            if let event = lineEnded() { events.append(event) }
        }
        return events
    }

    private func checkSize() throws(BerthError) {
        guard line.count + data.count <= maximumEventBytes else {
            throw BerthError(.tooLarge, "a server-sent event is longer than \(maximumEventBytes) bytes")
        }
    }

    private mutating func lineEnded() -> ServerSentEvent? {
        defer { line.removeAll(keepingCapacity: true) }
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        if line.isEmpty { return dispatch() }
        let name = line.prefix { $0 != UInt8(ascii: ":") }
        var value = line.dropFirst(name.count + 1)
        if value.first == 0x20 { value = value.dropFirst() }
        switch String(decoding: name, as: UTF8.self) {
        case "event": event = String(decoding: value, as: UTF8.self)
        case "data":
            if hasData { data.append(0x0A) }
            hasData = true
            data.append(contentsOf: value)
        case "id" where !value.contains(0): lastEventID = String(decoding: value, as: UTF8.self)
        case "retry": retryMs = Int(String(decoding: value, as: UTF8.self)) ?? retryMs
        default: break  // a comment, or a field of the future
        }
        return nil
    }

    private mutating func dispatch() -> ServerSentEvent? {
        defer {
            event = ""
            data = []
            hasData = false
        }
        guard hasData else { return nil }
        return ServerSentEvent(
            event: event.isEmpty ? "message" : event,
            id: lastEventID,
            data: String(decoding: data, as: UTF8.self)
        )
    }
}
