import API
import Base
import Database
import Transport

/// Events on their way to viewers of one form.
enum ChangeBlock: Sendable {
    case events(EventBlock)
    case messages([String])
}

/// An event of the feed, encoded once for all its viewers.
struct ChangeEntry: Sendable {
    let event: Event
    /// A `Change` of the API.
    let json: [UInt8]

    init(_ event: Event) {
        self.event = event
        var text: [UInt8] = []
        text.reserveCapacity(event.payload.utf8.count + 160)
        text.append(contentsOf: #"{"at":"\#(event.at)","payload":"#.utf8)
        // Kept as JSON text.
        text.append(contentsOf: event.payload.utf8)
        text.append(contentsOf: #","sequence":\#(event.seq),"subject":"#.utf8)
        JSONText.appendQuoted(event.subject.utf8, to: &text)
        text.append(contentsOf: #","type":"#.utf8)
        JSONText.appendQuoted(event.type.utf8, to: &text)
        text.append(UInt8(ascii: "}"))
        json = text
    }
}

/// Puts events one behind the other in a viewer's form. As server-sent events: `change`, `row`, `snapshot` and
/// `position`, the number as id. As messages of a WebSocket: one JSON object each, `{"event": …, "data": …}`.
struct ChangeEncoder: Sendable {
    private var events = EventEncoder()
    private var messages: [String] = []
    private let form: ChangeChoice.Form

    init(_ form: ChangeChoice.Form) { self.form = form }

    var isEmpty: Bool { events.isEmpty && messages.isEmpty }
    /// Bytes so far, of server-sent events.
    var count: Int { form == .serverSentEvents ? events.count : messages.reduce(0) { $0 + $1.utf8.count } }

    mutating func append(_ name: String, id: Int64?, _ data: [UInt8]) {
        switch form {
        case .serverSentEvents: events.append(event: name, id: id.map { "\($0)" }, data: data)
        case .webSocket: messages.append(#"{"event":"\#(name)","data":\#(String(decoding: data, as: UTF8.self))}"#)
        }
    }

    /// What `choice` shows of `entries`, which follow each other. One who has been shown nothing for long is told the
    /// position from time to time, so that it comes back near the end.
    mutating func append(_ entries: some BidirectionalCollection<ChangeEntry>, for choice: ChangeChoice) throws {
        guard let first = entries.first?.event.seq, let last = entries.last?.event.seq else { return }
        var shown: Int64 = 0
        for entry in entries where choice.shows(entry.event) {
            append("change", id: entry.event.seq, entry.json)
            shown = entry.event.seq
        }
        if (max(shown, first - 1)) / Self.positionInterval < last / Self.positionInterval { try appendPosition(last) }
    }

    mutating func appendPosition(_ seq: Int64, as name: String = "position") throws {
        append(name, id: seq, try JSONBody.encode(ChangePosition(sequence: seq)))
    }

    consuming func finish() -> ChangeBlock {
        form == .serverSentEvents ? .events(events.finish()) : .messages(messages)
    }

    /// A position is told at least this often.
    private static let positionInterval: Int64 = 256
}
