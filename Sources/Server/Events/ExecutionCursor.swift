import API
import AgentProtocol
import Base
import Domain
import Executions
import Transport

/// How far one sequence of an execution's events has come, and how it goes on: states, progress, agent events and bytes,
/// each with the position to resume at. Pure: it says what is to be read and encodes what was.
///
/// Two cursors of one choice with equal ``mark`` go on with the same events.
struct ExecutionCursor: Sendable {
    enum Part: CaseIterable, Sendable {
        case agent, stdout, stderr
    }

    /// Bytes that a cursor needs next.
    struct Request: Sendable {
        let part: Part
        let offset: Int64
        let limit: Int

        var stream: Domain.OutputStream { part == .stderr ? .stderr : .stdout }
    }

    /// How a cursor stands to a mark.
    enum Relation {
        case equal
        /// Reading up to the mark makes it equal.
        case behind
        /// In one respect at least it is farther.
        case ahead
        /// They will not meet: what neither of them follows has different positions.
        case apart
    }

    /// What has been delivered, and read.
    struct Mark: Sendable, Equatable {
        var position: StreamPosition
        /// Offset behind the bytes that agent events were made of.
        var parsed: Int64
        /// Of the record that was last told of; 0 when none was.
        var version: Int64

        func offset(_ part: Part) -> Int64 {
            switch part {
            case .agent: parsed
            case .stdout: position.stdout
            case .stderr: position.stderr
            }
        }
    }

    let choice: EventChoice
    private var position: StreamPosition
    private var parser: StreamJSONParser
    private var version: Int64 = 0
    private var told: (state: ExecutionState, attempt: Int)?

    /// Bytes of output in one event at most.
    static let pieceBytes = 128 << 10

    init(_ choice: EventChoice, from position: StreamPosition) {
        self.choice = choice
        self.position = position
        parser = StreamJSONParser(from: position.agent)
    }

    var mark: Mark { Mark(position: position, parsed: parser.offset, version: version) }

    /// The same place without what has been read beyond it, to go on later.
    var checkpoint: ExecutionCursor {
        var copy = self
        copy.parser = parser.restarted(at: position.agent)
        return copy
    }

    func follows(_ part: Part) -> Bool {
        switch part {
        case .agent: choice.agent
        case .stdout: choice.stdout
        case .stderr: choice.stderr
        }
    }

    func relation(to goal: Mark) -> Relation {
        let own = mark
        // One who comes back may know of an attempt that the others have not heard of yet.
        if own.position.attempt != goal.position.attempt {
            return own.position.attempt < goal.position.attempt ? .behind : .ahead
        }
        var pairs = [(own.version, goal.version), (own.position.state, goal.position.state)]
        for part in Part.allCases {
            if follows(part) {
                pairs.append((own.offset(part), goal.offset(part)))
            } else if own.offset(part) != goal.offset(part) {
                return .apart
            }
        }
        if pairs.contains(where: { $0.0 > $0.1 }) { return .ahead }
        return pairs.contains(where: { $0.0 < $0.1 }) ? .behind : .equal
    }

    // MARK: States and progress

    /// Tells of the record and of what happened until then.
    mutating func take(
        _ snapshot: ExecutionSnapshot,
        _ history: [ExecutionEvent],
        to encoder: inout EventEncoder
    ) throws {
        let record = snapshot.record
        for event in history where event.seq > position.state {
            position.state = event.seq
            guard event.type == "execution.progress" else { continue }
            encoder.append(event: "progress", id: position.description, data: event.payload.utf8)
        }
        version = record.version
        if told?.state != record.state || told?.attempt != record.attempt {
            told = (record.state, record.attempt)
            let state = StateEvent(
                status: ExecutionStatus(rawValue: record.state.rawValue),
                attempt: record.attempt,
                environmentId: record.environmentID
            )
            encoder.append(event: "state", id: position.description, data: try JSONBody.encode(state))
        }
        if position.attempt != record.attempt {
            // A repeated run starts its streams anew.
            position.attempt = record.attempt
            position.stdout = 0
            position.stderr = 0
            position.agent = 0
            parser = StreamJSONParser()
        }
        passGap(snapshot)
    }

    /// The end of an execution all of whose output was taken.
    mutating func end(_ snapshot: ExecutionSnapshot, to encoder: inout EventEncoder) throws {
        if choice.agent { try tell(parser.finish(), to: &encoder) }
        encoder.append(
            event: "end",
            id: position.description,
            data: try JSONBody.encode(API.Execution(snapshot.record))
        )
    }

    // MARK: Output

    /// What to read next, up to `goal` or, without one, to the end of what is stored.
    func requests(_ snapshot: ExecutionSnapshot, upTo goal: Mark?) -> [Request] {
        guard snapshot.record.attempt > 0 else { return [] }
        let own = mark
        return Part.allCases.compactMap { part in
            guard follows(part) else { return nil }
            let offset = own.offset(part)
            var limit = Int64(Self.pieceBytes)
            if let goal { limit = min(limit, goal.offset(part) - offset) }
            // A line is cut where the middle of the stream was not kept.
            if part == .agent, let gap = Self.gap(snapshot), offset < gap { limit = min(limit, gap - offset) }
            return limit > 0 ? Request(part: part, offset: offset, limit: Int(limit)) : nil
        }
    }

    /// Takes what was read for `request`. Returns true when this part has all that it wanted: what is stored, or what
    /// lies before `goal`.
    mutating func take(
        _ slice: OutputSlice,
        for request: Request,
        _ snapshot: ExecutionSnapshot,
        upTo goal: Mark?,
        to encoder: inout EventEncoder
    ) throws -> Bool {
        guard !slice.bytes.isEmpty else { return true }
        let end = slice.offset + Int64(slice.bytes.count)
        let isLast = end >= goal?.offset(request.part) ?? slice.storedBytes
        switch request.part {
        case .agent:
            try tell(parser.feed(slice.bytes), to: &encoder)
            passGap(snapshot)
            return isLast
        case .stdout, .stderr:
            // Before a goal lies nothing more, even where it stands within a character.
            let mayGrow = isLast ? goal == nil && !snapshot.record.state.isTerminal : true
            return put(slice, request.stream, mayGrow: mayGrow, to: &encoder) && isLast
        }
    }

    /// Returns false when part of a piece is left for the next one.
    private mutating func put(
        _ slice: OutputSlice,
        _ stream: Domain.OutputStream,
        mayGrow: Bool,
        to encoder: inout EventEncoder
    ) -> Bool {
        let text = choice.isRaw ? nil : Self.text(slice.bytes, mayGrow: mayGrow)
        let sent = text?.utf8.count ?? slice.bytes.count
        // Part of a character: it waits for its rest.
        guard sent > 0 else { return true }
        let end = slice.offset + Int64(sent)
        if stream == .stdout { position.stdout = end } else { position.stderr = end }
        encoder.reserve(slice.bytes.count * 4 / 3 + 160)
        encoder.append(event: stream.rawValue, id: position.description) { line in
            line.append(contentsOf: #"{"offset":\#(slice.offset),"#.utf8)
            if let text {
                line.append(contentsOf: #""text":"#.utf8)
                JSONText.appendQuoted(text.utf8, to: &line)
            } else {
                line.append(contentsOf: #""base64":""#.utf8)
                Base64.append(slice.bytes, to: &line)
                line.append(UInt8(ascii: "\""))
            }
            line.append(UInt8(ascii: "}"))
        }
        return true
    }

    /// Only the last event of a line carries the position behind it: resuming never loses one.
    private mutating func tell(_ events: [StreamJSONParser.Parsed], to encoder: inout EventEncoder) throws {
        for (index, parsed) in events.enumerated() {
            let isLast = index + 1 == events.count || events[index + 1].endOffset != parsed.endOffset
            if isLast { position.agent = parsed.endOffset }
            encoder.append(event: "agent", id: position.description, data: try JSONBody.encode(parsed.event))
        }
    }

    /// Where the stored end of a truncated stream follows its start.
    private static func gap(_ snapshot: ExecutionSnapshot) -> Int64? {
        guard let mark = snapshot.record.mark(of: .stdout), mark.isTruncated, mark.tailBytes > 0 else { return nil }
        return mark.headBytes
    }

    private mutating func passGap(_ snapshot: ExecutionSnapshot) {
        if choice.agent, let gap = Self.gap(snapshot), parser.offset == gap { parser.jump(to: gap) }
    }

    /// The bytes as text, without an unfinished character at the end; nil where they are not UTF-8.
    static func text(_ bytes: [UInt8], mayGrow: Bool) -> String? {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        guard mayGrow else { return nil }
        for cut in 1...3 where bytes.count >= cut {
            let lead = bytes[bytes.count - cut]
            guard lead >= 0xC0 else { continue }
            guard (0xC2...0xF4).contains(lead) else { return nil }
            let length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2
            return length > cut ? String(validating: bytes.dropLast(cut), as: UTF8.self) : nil
        }
        return nil
    }
}
