public import Base

/// Writes a recording in asciicast's own form, version 2 (docs.asciinema.org/manual/asciicast/v2): a header, then one JSON
/// array for each event, a line each. Pure.
public struct Asciicast: Sendable {
    private let startedAt: Timestamp
    /// Bytes of a character whose rest has not come.
    private var tail: [UInt8] = []

    public init(startedAt: Timestamp) { self.startedAt = startedAt }

    public static func header(
        columns: UInt16,
        rows: UInt16,
        startedAt: Timestamp,
        title: String,
        command: String
    ) -> [UInt8] {
        Array(
            (#"{"version":2,"width":\#(columns),"height":\#(rows),"timestamp":\#(startedAt.milliseconds / 1000),"#
                + #""title":\#(JSONText.quoted(title)),"command":\#(JSONText.quoted(command)),"#
                + #""env":{"TERM":"xterm-256color"}}"# + "\n").utf8
        )
    }

    /// What was shown. Text is UTF-8: what is not comes out as U+FFFD, and a character that is cut waits for its rest.
    public mutating func output(_ bytes: [UInt8], at moment: Timestamp) -> [UInt8] {
        var all = tail + bytes
        let cut = Self.incomplete(all)
        tail = Array(all.suffix(cut))
        all.removeLast(cut)
        guard !all.isEmpty else { return [] }
        return event(moment, "o", String(decoding: all, as: UTF8.self))
    }

    public func size(columns: UInt16, rows: UInt16, at moment: Timestamp) -> [UInt8] {
        event(moment, "r", "\(columns)x\(rows)")
    }

    public func mark(_ text: String, at moment: Timestamp) -> [UInt8] { event(moment, "m", text) }

    /// What waited and never came whole.
    public mutating func end(at moment: Timestamp) -> [UInt8] {
        defer { tail = [] }
        return tail.isEmpty ? [] : event(moment, "o", String(decoding: tail, as: UTF8.self))
    }

    private func event(_ moment: Timestamp, _ kind: String, _ text: String) -> [UInt8] {
        let elapsed = max(0, moment.milliseconds - startedAt.milliseconds)
        let fraction = String(elapsed % 1000 + 1000).dropFirst()
        return Array("[\(elapsed / 1000).\(fraction),\"\(kind)\",\(JSONText.quoted(text))]\n".utf8)
    }

    /// Bytes at the end that begin a character and do not end it (RFC 3629).
    static func incomplete(_ bytes: [UInt8]) -> Int {
        for back in 1...3 where back <= bytes.count {
            let byte = bytes[bytes.count - back]
            if byte & 0xC0 == 0x80 { continue }
            let length = byte >= 0xF0 && byte < 0xF8 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return byte < 0xF8 && length > back ? back : 0
        }
        return 0
    }
}
