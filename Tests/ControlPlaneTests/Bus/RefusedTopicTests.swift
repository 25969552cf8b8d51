import Base
import Bus
import Domain
import EventBus
import Executions
import TestSupport
import Testing

/// Topics that take nothing while the bus is there.
@Suite struct RefusedTopicTests {
    private static let forbidden = BerthError(.forbidden, "the brokers do not let this client in")

    @Test(arguments: [BusTopic.events, .output, .lifecycle])
    func `a refusal holds up no other topic, and the topic gets everything in order later`(
        refusing: BusTopic
    ) async throws {
        let time = SettableTime()
        try await BusFixture.with(time: time) { fixture in
            try await fixture.outbox.begin()
            fixture.bus.set(.refusal(topic: refusing.rawValue, Self.forbidden))
            for number in 0..<3 {
                let id = try await fixture.plane.executions.create(fixture.plane.command("true")).execution.id
                try await fixture.record("execution.running", id)
                try await fixture.record("execution.event", id)
                fixture.output.append(Array("output \(number)".utf8), to: AttemptKey(id, 1))
                try await fixture.drain()
                try await fixture.record("execution.completed", id)
                try await fixture.drain()
            }
            let expected: [BusTopic: Int] = [.events: 3, .output: 3, .lifecycle: 9]
            for (topic, count) in expected {
                let taken = try await fixture.messages(in: topic).count
                #expect(taken == (topic == refusing ? 0 : count), "\(topic)")
            }
            #expect(fixture.meter.reading.refusals.map(\.topic) == [refusing.rawValue])
            #expect(fixture.meter.reading.refusals.first?.reason.code == .forbidden)
            #expect(fixture.meter.reading.isReached)

            fixture.bus.set(.none)
            time.advance(.seconds(3600))
            try await fixture.drain()
            for (topic, count) in expected { #expect(try await fixture.messages(in: topic).count == count, "\(topic)") }
            // Messages with one key keep their order.
            let lifecycle = try await fixture.messages(in: .lifecycle)
            for message in lifecycle {
                let own = lifecycle.filter { $0.key == message.key }.compactMap { $0.json["sequence"]?.integer }
                #expect(own.count == 3)
                #expect(own == own.sorted())
            }
            let output = try await fixture.messages(in: .output).compactMap { $0.json["chunk"]?.string }
            #expect(Set(output) == ["output 0", "output 1", "output 2"])
            #expect(fixture.meter.reading.refusals.isEmpty)
            #expect(fixture.meter.reading.waitingEvents == 0)
        }
    }

    @Test func `a refused dead letter holds up no other topic's`() async throws {
        let time = SettableTime()
        try await BusFixture.with(time: time) { fixture in
            let foreign = "tenant_org_01jd0000000000000000000000.persona.exec.v1"
            for _ in 0..<20 { try await fixture.intake.take(fixture.message(Array("no json".utf8)), "c") }
            fixture.bus.set(.refusal(topic: BusTopic.deadLetters.rawValue, Self.forbidden))
            try await fixture.outbox.pass()
            #expect(try await fixture.messages(in: .deadLetters).isEmpty)
            #expect(fixture.meter.reading.held == 20)
            try await fixture.intake.take(fixture.message(Array("no json".utf8), topic: foreign), "c")
            fixture.bus.set(.none)
            // It is left alone until its time has come.
            try await fixture.outbox.pass()
            #expect(try await fixture.messages(in: .deadLetters).isEmpty)
            time.advance(.seconds(3600))
            try await fixture.drain()
            #expect(try await fixture.messages(in: .deadLetters).count == 21)
            #expect(fixture.meter.reading.held == 0)
        }
    }

    @Test func `an event too large for a broker travels without its payload`() async throws {
        try await BusFixture.with { fixture in
            try await fixture.outbox.begin()
            let id = try await fixture.plane.executions.create(fixture.plane.command("true")).execution.id
            try await fixture.record("execution.event", id, told: .string(String(repeating: "\u{1}", count: 400_000)))
            try await fixture.record("execution.event", id, told: .string("small"))
            try await fixture.drain()
            let messages = try await fixture.messages(in: .events)
            #expect(messages.allSatisfy { ($0.value?.count ?? 0) <= 1_000_000 })
            let large = try #require(messages.first { $0.json["isTruncated"]?.bool == true })
            #expect(large.json["id"]?.string == id.text)
            #expect(large.json["payload"] == nil)
            #expect(messages.contains { $0.json["payload"]?.string == "small" })
        }
    }

    @Test func `a dead letter fits through a broker whatever it holds`() async throws {
        try await BusFixture.with { fixture in
            let bytes: [[UInt8]] = [
                Array(repeating: 0x01, count: 900_000), Array(repeating: 0xFF, count: 900_000),
                Array(repeating: UInt8(ascii: "\""), count: 900_000),
            ]
            for value in bytes { try await fixture.intake.take(fixture.message(value), "c") }
            try await fixture.drain()
            let letters = try await fixture.messages(in: .deadLetters)
            #expect(letters.count == 3)
            #expect(letters.allSatisfy { ($0.value?.count ?? 0) < 900_000 })
            #expect(letters.allSatisfy { $0.json["originalBytes"]?.integer == 900_000 })
        }
    }

    @Test func `which execution came of a message is forgotten long after its end, and not before`() async throws {
        let time = SettableTime()
        try await BusFixture.with(time: time) { fixture in
            let request = #"{"executionId":"theirs","command":["true"]}"#
            try await fixture.intake.take(fixture.message(Array(request.utf8)), "c")
            let retention = RequestRetention(database: fixture.plane.database, age: .seconds(3600))
            try await retention.trim(at: SystemTime().now + .seconds(7200))
            try await fixture.intake.take(fixture.message(Array(request.utf8), offset: 1), "c")
            #expect(fixture.meter.reading.repeated == 1)
            let plane = fixture.plane
            let made = try await plane.executions.list(
                ExecutionFilter(),
                organization: plane.organization,
                visibleTo: nil
            )
            for execution in made.executions {
                _ = try await plane.executions.cancel(
                    execution.id,
                    organization: plane.organization,
                    by: plane.user,
                    visibleTo: nil
                )
            }
            try await retention.trim(at: SystemTime().now)
            try await fixture.intake.take(fixture.message(Array(request.utf8), offset: 2), "c")
            #expect(fixture.meter.reading.repeated == 2)
            try await retention.trim(at: SystemTime().now + .seconds(7200))
            try await fixture.intake.take(fixture.message(Array(request.utf8), offset: 3), "c")
            #expect(fixture.meter.reading.taken == 2)
        }
    }
}
