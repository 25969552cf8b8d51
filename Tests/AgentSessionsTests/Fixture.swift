import AgentSessions
import Base
import Domain
import FoundationEssentials
import Testing

/// A session's machine with time in the test's hands: what is stored, what was said, what is to be done.
struct Bench {
    var record: SessionRecord
    var now = Timestamp(milliseconds: 1_795_000_000_000)
    var events: [SessionEvent] = []
    var effects: [SessionEffect] = []
    private var messages = 0

    init(_ agent: AgentKind, command: [String]? = nil, mode: PermissionMode = .standard) throws {
        record = try SessionRecord(
            id: AgentSessionID("sess_" + String(repeating: "0", count: 26)),
            workspaceId: WorkspaceID("ws_" + String(repeating: "0", count: 26)),
            name: agent.rawValue,
            agent: agent,
            workflow: "feature",
            command: command,
            instructions: nil,
            directory: "/tmp/rec/w",
            model: nil,
            permissionMode: mode,
            requestTimeoutMs: 300_000,
            createdAt: now
        )
    }

    /// One thing happens: all of it is kept, or nothing.
    mutating func happens<Value>(_ body: (inout SessionMachine) throws -> Value) rethrows -> Value {
        var machine = SessionMachine(record, now: now)
        let value = try body(&machine)
        machine.finish()
        // Through its stored form, as a worker would read it.
        if let stored = try? JSONText.decode(SessionRecord.self, from: JSONText.encode(machine.record)) {
            #expect(stored == machine.record)
            record = stored
        }
        #expect(machine.events.map(\.seq) == machine.events.indices.map { Int64(events.count + $0 + 1) })
        events += machine.events
        effects += machine.effects
        return value
    }

    @discardableResult
    mutating func send(_ text: String) throws -> SessionMessage? {
        messages += 1
        let digits = "\(messages)"
        let id = try SessionMessageID("msg_" + String(repeating: "0", count: 26 - digits.count) + digits)
        return try happens { try $0.send(text, id: id) }
    }

    mutating func hears(_ lines: [String]) {
        let bytes = lines.map { Array($0.utf8) }
        let end = record.cursor + Int64(bytes.reduce(0) { $0 + $1.count + 1 })
        happens { $0.read(bytes, upTo: end) }
    }

    /// The lines that the agent is to be told, and that were taken.
    mutating func said() throws -> [JSONValue] {
        let lines = try record.outbox.map { try JSONValue(parsing: $0.text.utf8) }
        if let last = record.outbox.last?.number { happens { $0.wrote(upTo: last) } }
        return lines
    }

    func kinds() -> [String] { events.map(\.type.rawValue) }

    static func recorded(_ name: String) throws -> [String] {
        let path = #filePath.split(separator: "/").dropLast().joined(separator: "/")
        return try String(contentsOfFile: "/\(path)/Recorded/\(name).jsonl", encoding: .utf8)
            .split(separator: "\n").map(String.init)
    }
}
