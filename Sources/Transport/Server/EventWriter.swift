internal import Base
internal import EventLoop

/// Writes server-sent events to one client.
public final class EventWriter: Sendable {
    private let body: BodyWriter

    init(body: BodyWriter) { self.body = body }

    /// Returns when the client has taken enough for more. `event` and `id` must be one line; `data` may be several.
    public func send(event: String? = nil, id: String? = nil, data: String) async throws {
        try await body.write(Self.encode(event: event, id: id, data: data))
    }

    /// Asks the client to wait this long before it connects again.
    public func setRetry(milliseconds: Int) async throws { try await body.write("retry: \(milliseconds)\n\n") }

    /// A line that clients skip.
    public func comment(_ text: String = "") async throws {
        try await body.write(": \(text.filter { !$0.isNewline })\n\n")
    }

    static func encode(event: String?, id: String?, data: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(data.utf8.count + 64)
        func field(_ name: StaticString, _ value: some Sequence<UInt8>) {
            name.withUTF8Buffer { bytes.append(contentsOf: $0) }
            bytes.append(contentsOf: ": ".utf8)
            bytes.append(contentsOf: value)
            bytes.append(UInt8(ascii: "\n"))
        }
        if let event { field("event", event.utf8.filter(isInLine)) }
        if let id { field("id", id.utf8.filter { isInLine($0) && $0 != 0 }) }
        var rest = Array(data.utf8)[...]
        while true {
            // CR LF, LF and CR all end a line of the stream, so all of them start a new field.
            let line = rest.prefix(while: isInLine)
            field("data", line)
            rest = rest.dropFirst(line.count)
            guard let end = rest.popFirst() else { break }
            if end == 0x0D, rest.first == 0x0A { rest = rest.dropFirst() }
        }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private static func isInLine(_ byte: UInt8) -> Bool { byte != 0x0A && byte != 0x0D }
}
