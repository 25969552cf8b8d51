public import Domain

/// Reads the Claude CLI's `--output-format stream-json` as it comes, in pieces of any size.
///
/// Pure. Every event carries the offset of the byte after its line, so that a reader can stop and go on from there:
/// a parser made with `init(from: thatOffset)` and fed the bytes from it on yields the events that follow (only a
/// usage event may come again, when the offset stands between two lines of one message).
public struct StreamJSONParser: Sendable {
    public struct Parsed: Sendable, Equatable {
        public var event: AgentEvent
        /// Offset in the stream of the first byte behind the event's line.
        public var endOffset: Int64

        public init(event: AgentEvent, endOffset: Int64) {
            self.event = event
            self.endOffset = endOffset
        }
    }

    /// Longest line that is understood (origins 1.6); a longer one yields one ``AgentEvent/other(type:json:)`` of type
    /// `oversized` that tells its length.
    public static let maximumLine = 1 << 20

    /// Offset of the next byte to be fed.
    public private(set) var offset: Int64
    private let maximumLine: Int
    private var line: [UInt8] = []
    /// Bytes of the current line that were dropped because it is too long.
    private var skipped: Int64 = 0
    /// The model's message that the last line belonged to: the CLI writes one line for each of its blocks.
    private var messageID: String?

    public init(from offset: Int64 = 0, maximumLine: Int = Self.maximumLine) {
        self.offset = offset
        self.maximumLine = maximumLine
    }

    public mutating func feed(_ bytes: some Collection<UInt8>) -> [Parsed] {
        var events: [Parsed] = []
        var rest = bytes[...]
        while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
            take(rest[..<newline])
            offset += 1
            events += endLine()
            rest = rest[rest.index(after: newline)...]
        }
        take(rest)
        return events
    }

    /// The events of a last line that ends without a newline.
    public mutating func finish() -> [Parsed] { endLine() }

    /// Goes on behind a gap: what follows starts at `offset`, in the middle of a line that is skipped.
    public mutating func jump(to offset: Int64) {
        self.offset = offset
        line = []
        skipped = 1
    }

    /// A parser to be fed anew from `offset` on, behind the last event: it makes the events that this one would make.
    public func restarted(at offset: Int64) -> StreamJSONParser {
        var parser = StreamJSONParser(from: offset, maximumLine: maximumLine)
        parser.messageID = messageID
        return parser
    }

    private mutating func take(_ piece: some Collection<UInt8>) {
        offset += Int64(piece.count)
        guard skipped == 0, line.count + piece.count <= maximumLine else {
            skipped += Int64(line.count + piece.count)
            line = []
            return
        }
        line.append(contentsOf: piece)
    }

    private mutating func endLine() -> [Parsed] {
        defer {
            line.removeAll(keepingCapacity: line.count < 64 << 10)
            skipped = 0
        }
        if skipped > 0 {
            return [Parsed(event: .other(type: "oversized", json: #"{"bytes":\#(skipped)}"#), endOffset: offset)]
        }
        return ClaudeLine.events(of: line, messageID: &messageID).map { Parsed(event: $0, endOffset: offset) }
    }
}
