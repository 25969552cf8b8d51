import Base
import Bus
import Domain
import EventBus
import Executions
import FoundationEssentials
import TestSupport
import Testing

/// What reaches the bus of what happens here.
@Suite struct BusOutboxTests {
    @Test func `events are published once in order, and nothing of the time before`() async throws {
        try await BusFixture.with { fixture in
            let id = try await fixture.plane.executions.create(fixture.plane.command("true")).execution.id
            try await fixture.outbox.begin()
            for word in ["assigned", "running", "completed"] { try await fixture.record("execution.\(word)", id) }
            try await fixture.outbox.pass()
            try await fixture.outbox.pass()
            let messages = try await fixture.messages(in: .lifecycle)
            #expect(messages.map { $0.json["type"]?.string } == ["assigned", "running", "complete"])
            #expect(messages.map { $0.json["status"]?.string } == ["assigned", "running", "completed"])
            #expect(messages.allSatisfy { $0.json["executionId"]?.string == id.text && $0.key == Array(id.text.utf8) })
            let sequences = messages.compactMap { $0.json["sequence"]?.integer }
            #expect(sequences == sequences.sorted() && Set(sequences).count == 3)
        }
    }

    @Test func `while the bus is gone everything is held, and drains in order`() async throws {
        try await BusFixture.with { fixture in
            try await fixture.outbox.begin()
            let id = try await fixture.plane.executions.create(fixture.plane.command("true")).execution.id
            fixture.bus.set(.gone)
            try await fixture.record("execution.running", id)
            let key = AttemptKey(id, 1)
            for round in 0..<5 {
                fixture.output.append(Array("line \(round)\n".utf8), to: key)
                await #expect(throws: BerthError.self) { try await fixture.outbox.pass() }
            }
            try await fixture.record("execution.completed", id)
            await #expect(throws: BerthError.self) { try await fixture.outbox.pass() }
            #expect(try await fixture.messages(in: .lifecycle).isEmpty)
            fixture.bus.set(.none)
            try await fixture.drain()
            let types = try await fixture.messages(in: .lifecycle).compactMap { $0.json["type"]?.string }
            #expect(types == ["created", "running", "complete"])
            let output = try await fixture.messages(in: .output)
            #expect(
                output.compactMap { $0.json["chunk"]?.string }.joined() == "line 0\nline 1\nline 2\nline 3\nline 4\n"
            )
            #expect(fixture.meter.reading.waitingEvents == 0)
            #expect(fixture.meter.reading.isReached)
        }
    }

    @Test func `what is published twice for a lost answer has the same places, so that readers drop it`() async throws {
        try await BusFixture.with { fixture in
            try await fixture.outbox.begin()
            let id = try await fixture.plane.executions.create(fixture.plane.command("true")).execution.id
            let key = AttemptKey(id, 1)
            try await fixture.record("execution.running", id)
            try await fixture.drain()
            // Bytes of every kind, in more than one message, with characters cut by the messages' bounds.
            let bytes = Array(String(repeating: "añ€😀", count: 40_000).utf8) + (0...255).map { UInt8($0) }
            for part in stride(from: 0, to: bytes.count, by: 61_003) {
                fixture.output.append(Array(bytes[part..<min(bytes.count, part + 61_003)]), to: key)
                fixture.output.append([UInt8(part % 251)], to: key, .stderr)
                fixture.bus.set(.lostAnswer)
                await #expect(throws: BerthError.self) { try await fixture.outbox.pass() }
                fixture.bus.set(.none)
                if part % 2 == 0 { try await fixture.outbox.pass() }
            }
            try await fixture.record("execution.failed", id)
            try await fixture.drain()
            let output = try await fixture.messages(in: .output)
            var places: [String: BusMessage] = [:]
            for message in output {
                let place = ["berth-execution", "berth-attempt", "berth-stream", "berth-offset"].map { name in
                    message.headers.first { $0.name == name }.map { String(decoding: $0.value, as: UTF8.self) } ?? "?"
                }.joined(separator: "/")
                if let known = places[place] { #expect(known.json["chunk"] == message.json["chunk"], "\(place)") }
                places[place] = message
            }
            #expect(places.count < output.count)
            #expect(Self.joined(places.values, "stdout") == bytes)
        }
    }

    /// The stream that readers get who drop what they have.
    private static func joined(_ messages: some Collection<BusMessage>, _ stream: String) -> [UInt8] {
        messages.filter { $0.json["type"]?.string == stream }
            .sorted { ($0.json["offset"]?.integer ?? 0) < ($1.json["offset"]?.integer ?? 0) }
            .flatMap { message -> [UInt8] in
                let chunk = message.json["chunk"]?.string ?? ""
                return message.json["encoding"]?.string == "base64" ? Base64Text.decode(chunk) : Array(chunk.utf8)
            }
    }

    @Test func `an execution's last output is there before the word of its end`() async throws {
        try await BusFixture.with { fixture in
            try await fixture.outbox.begin()
            let id = try await fixture.plane.executions.create(fixture.plane.command("true")).execution.id
            try await fixture.record("execution.running", id)
            fixture.output.append([UInt8](repeating: 0x41, count: 9 << 20), to: AttemptKey(id, 1))
            try await fixture.record("execution.completed", id)
            // The end is in the first page that is looked at: all nine mebibytes go before it.
            try await fixture.outbox.pass()
            let ends = try await fixture.messages(in: .lifecycle).filter { $0.json["type"]?.string == "complete" }
            #expect(ends.count == 1)
            let bytes = try await fixture.messages(in: .output).reduce(0) { $0 + ($1.json["bytes"]?.integer ?? 0) }
            #expect(bytes == 9 << 20)
        }
    }

    @Test func `the requester's own executionId is what messages are known by`() async throws {
        try await BusFixture.with { fixture in
            try await fixture.outbox.begin()
            let request = #"{"executionId":"their-7","personaId":"p","command":["true"]}"#
            try await fixture.intake.take(fixture.message(Array(request.utf8)), "c")
            try await fixture.drain()
            let created = try #require(try await fixture.messages(in: .lifecycle).first)
            #expect(created.json["executionId"]?.string == "their-7")
            #expect(created.json["id"]?.string?.hasPrefix("exec_") == true)
            #expect(created.key == Array("their-7".utf8))
        }
    }

    @Test func `of several servers one publishes at a time`() async throws {
        try await BusFixture.with { fixture in
            try await fixture.outbox.begin()
            let id = try await fixture.plane.executions.create(fixture.plane.command("true")).execution.id
            for _ in 0..<200 { try await fixture.record("execution.progress", id, state: "running") }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<3 { group.addTask { try await fixture.another().run() } }
                let time = SystemTime()
                let deadline = time.uptime + .seconds(30)
                while try await fixture.messages(in: .lifecycle).count < 201, time.uptime < deadline {
                    try await time.wait(for: .milliseconds(20))
                }
                group.cancelAll()
                do { try await group.waitForAll() } catch is CancellationError {}
            }
            #expect(try await fixture.messages(in: .lifecycle).count == 201)
        }
    }
}

extension BusFixture {
    /// Rounds until nothing waits.
    func drain() async throws {
        for _ in 0..<100 where try await outbox.pass() {}
    }

    /// The outbox of another server on the same database.
    func another() -> BusOutbox {
        BusOutbox(
            database: plane.database,
            feed: plane.feed,
            bus: bus,
            tenants: tenants,
            output: output,
            held: held,
            meter: meter,
            holder: Hex.encode(SystemRandomness().bytes(8)),
            carriesFeed: true,
            carriesOutput: true,
            time: SystemTime(),
            randomness: SystemRandomness()
        )
    }
}

enum Base64Text {
    static func decode(_ text: String) -> [UInt8] { Data(base64Encoded: text).map(Array.init) ?? [] }
}
