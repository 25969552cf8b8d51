import API
import AgentProtocol
import Base
import Domain
import Executions
import FoundationEssentials
import Transport

/// Follows one execution for one viewer: states, progress, agent events and bytes, each with the position to resume at.
/// Nothing is read before the viewer has taken what came before, so a stalled one costs one piece of memory.
struct ExecutionStreamer {
    struct Choice {
        var stdout = true
        var stderr = true
        var agent = true
        var isRaw = false
        var follows = true
    }

    let id: ExecutionID
    let principal: Principal
    let executions: ExecutionService
    let writer: EventWriter
    let choice: Choice
    let draining: Draining
    var position: StreamPosition
    private var parser: StreamJSONParser
    private var toldStatus: ExecutionState?

    /// Bytes of one event at most.
    static let pieceBytes = 128 << 10

    init(
        id: ExecutionID,
        principal: Principal,
        executions: ExecutionService,
        writer: EventWriter,
        choice: Choice,
        draining: Draining,
        position: StreamPosition
    ) {
        self.id = id
        self.principal = principal
        self.executions = executions
        self.writer = writer
        self.choice = choice
        self.draining = draining
        self.position = position
        parser = StreamJSONParser(from: position.agent)
    }

    mutating func run() async throws {
        let bell = executions.bell(for: id)
        while true {
            let count = bell.count
            let record = try await executions.get(id, by: principal)
            try await sendStates(record)
            try await moveToAttempt(record)
            let isComplete = try await sendOutput(record)
            if record.state.isTerminal, isComplete {
                try await writer.send(event: "end", id: position.description, data: Self.json(API.Execution(record)))
                return
            }
            if isComplete, !choice.follows { return }
            if isComplete { try await draining.wait { try await bell.wait(after: count) } }
        }
    }

    private mutating func sendStates(_ record: ExecutionRecord) async throws {
        let organization = principal.organizationID
        for event in try await executions.history(id, organization: organization, after: position.state) {
            position.state = event.seq
            if event.type == "execution.progress" {
                try await writer.send(event: "progress", id: position.description, data: event.payload)
            }
        }
        guard toldStatus != record.state else { return }
        toldStatus = record.state
        let state = StateEvent(
            status: ExecutionStatus(rawValue: record.state.rawValue),
            attempt: record.attempt,
            environmentId: record.environmentID
        )
        try await writer.send(event: "state", id: position.description, data: Self.json(state))
    }

    /// A repeated run starts its streams anew.
    private mutating func moveToAttempt(_ record: ExecutionRecord) async throws {
        guard position.attempt != record.attempt else { return }
        position.attempt = record.attempt
        position.stdout = 0
        position.stderr = 0
        position.agent = 0
        parser = StreamJSONParser()
    }

    /// Returns true when all that is stored has been sent.
    private mutating func sendOutput(_ record: ExecutionRecord) async throws -> Bool {
        guard record.attempt > 0 else { return true }
        var isComplete = true
        if choice.agent, try await !sendAgentEvents(record) { isComplete = false }
        if choice.stdout, try await !sendBytes(.stdout, record) { isComplete = false }
        if choice.stderr, try await !sendBytes(.stderr, record) { isComplete = false }
        return isComplete
    }

    private mutating func sendAgentEvents(_ record: ExecutionRecord) async throws -> Bool {
        var limit = Self.pieceBytes
        if let mark = record.mark(of: .stdout), mark.isTruncated {
            // A line is cut where the middle of the stream was not kept.
            if parser.offset == mark.headBytes { parser.jump(to: mark.headBytes) }
            if parser.offset < mark.headBytes { limit = min(limit, Int(mark.headBytes - parser.offset)) }
        }
        let slice = try await executions.output(of: record, .stdout, from: parser.offset, limit: limit)
        if slice.bytes.isEmpty {
            if record.state.isTerminal { try await send(parser.finish()) }
            return true
        }
        try await send(parser.feed(slice.bytes))
        return false
    }

    /// Only the last event of a line carries the position behind it: resuming never loses one.
    private mutating func send(_ events: [StreamJSONParser.Parsed]) async throws {
        for (index, parsed) in events.enumerated() {
            let isLast = index + 1 == events.count || events[index + 1].endOffset != parsed.endOffset
            if isLast { position.agent = parsed.endOffset }
            try await writer.send(event: "agent", id: position.description, data: Self.json(parsed.event))
        }
    }

    private mutating func sendBytes(_ stream: Domain.OutputStream, _ record: ExecutionRecord) async throws -> Bool {
        let start = stream == .stdout ? position.stdout : position.stderr
        let slice = try await executions.output(of: record, stream, from: start, limit: Self.pieceBytes)
        if slice.bytes.isEmpty { return true }
        let text = choice.isRaw ? nil : Self.text(slice.bytes, mayGrow: !record.state.isTerminal)
        let sent = text?.utf8.count ?? slice.bytes.count
        // Part of a character: wait for its rest.
        guard sent > 0 else { return true }
        let end = slice.offset + Int64(sent)
        if stream == .stdout { position.stdout = end } else { position.stderr = end }
        var data = Array(#"{"offset":\#(slice.offset),"#.utf8)
        if let text {
            data += Array(#""text":"#.utf8)
            JSONText.appendQuoted(text.utf8, to: &data)
        } else {
            data +=
                Array(#""base64":""#.utf8) + Array(Data(slice.bytes).base64EncodedString().utf8) + [UInt8(ascii: "\"")]
        }
        data.append(UInt8(ascii: "}"))
        try await writer.send(
            event: stream.rawValue,
            id: position.description,
            data: String(decoding: data, as: UTF8.self)
        )
        return false
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

    private static func json(_ value: some Encodable) throws -> String {
        String(decoding: try JSONBody.encode(value), as: UTF8.self)
    }
}
