import Base
import Bus
import Database
import Domain
import EventBus
import Executions
import TestSupport
import Testing

/// What becomes of messages of the exec topic.
@Suite struct BusIntakeTests {
    private static let exec = BusTopic.execution.rawValue
    private static let good = Array(#"{"executionId":"run-1","command":["true"]}"#.utf8)

    @Test func `every statement prepares`() async throws {
        for engine in DatabaseEngine.allCases {
            try await withDatabase(on: engine) { try await $0.check(BusOutbox.statements + EmbeddedBus.statements) }
        }
    }

    @Test func `a message with an executionId runs once, whatever the place it comes from`() async throws {
        try await BusFixture.with { fixture in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for offset in 0..<20 {
                    group.addTask {
                        try await fixture.intake.take(fixture.message(Self.good, offset: Int64(offset % 7)), "c")
                    }
                }
                try await group.waitForAll()
            }
            let page = try await fixture.plane.executions.list(
                ExecutionFilter(),
                organization: fixture.plane.organization,
                visibleTo: nil
            )
            #expect(page.executions.count == 1)
            let reading = fixture.meter.reading
            #expect(reading.taken == 1)
            #expect(reading.repeated == 19)
        }
    }

    @Test func `a message without one runs once for its place, and a topic made anew has new places`() async throws {
        try await BusFixture.with { fixture in
            let body = Array(#"{"command":["true"]}"#.utf8)
            for _ in 0..<3 { try await fixture.intake.take(fixture.message(body, offset: 5), "c") }
            try await fixture.intake.take(fixture.message(body, offset: 6), "c")
            try await fixture.intake.take(fixture.message(body, offset: 5), "another cluster")
            // The same place, and another message: the topic was removed and made again.
            try await fixture.intake.take(fixture.message(Array(#"{"command":["date"]}"#.utf8), offset: 5), "c")
            #expect(fixture.meter.reading.taken == 4)
            #expect(fixture.meter.reading.repeated == 2)
        }
    }

    static let poison: [(value: [UInt8]?, code: String)] = [
        (nil, "invalid_request"), ([], "invalid_json"), (Array("not json".utf8), "invalid_json"),
        (Array("[1]".utf8), "invalid_json"), (Array(#"{"command":["a"],"command":["b"]}"#.utf8), "invalid_json"),
        (Array(#"{"prompt":1}"#.utf8), "missing_field"),
        ([0x7B, 0x22, 0xFF, 0xFE, 0x22, 0x3A, 0x31, 0x7D], "invalid_json"),
        ([0], "invalid_json"), (Array(#"{"executionId":7,"command":["a"]}"#.utf8), "invalid_value"),
        (Array(#"{"executionId":"","command":["a"]}"#.utf8), "invalid_value"),
        (Array("{\"executionId\":\"a\\u0000b\",\"command\":[\"a\"]}".utf8), "invalid_value"),
        (Array("{\"command\":[\"a\\u0000b\"]}".utf8), "invalid_value"),
        (Array(#"{"credentialIds":["c1"],"command":["a"]}"#.utf8), "unsupported"),
        ([UInt8](repeating: 0x20, count: (1 << 20) + 1), "too_large"),
    ]

    @Test func `what cannot be taken becomes a dead letter with the reason, and the next message runs`() async throws {
        try await BusFixture.with { fixture in
            for (offset, poison) in Self.poison.enumerated() {
                try await fixture.intake.take(fixture.message(poison.value, offset: Int64(offset)), "c")
            }
            try await fixture.intake.take(fixture.message(Self.good, offset: 100), "c")
            #expect(fixture.meter.reading.refused == UInt64(Self.poison.count))
            #expect(fixture.meter.reading.taken == 1)
            try await fixture.outbox.pass()
            let letters = try await fixture.messages(in: .deadLetters).sorted {
                ($0.json["originalOffset"]?.integer ?? 0) < ($1.json["originalOffset"]?.integer ?? 0)
            }
            #expect(letters.count == Self.poison.count)
            for (letter, poison) in zip(letters, Self.poison) {
                #expect(letter.json["errorCode"]?.string == poison.code, "\(poison.value?.prefix(40) ?? [])")
                #expect(letter.json["error"]?.string?.isEmpty == false)
                #expect(letter.json["retryCount"]?.integer == 0)
                #expect(letter.json["originalTopic"]?.string == Self.exec)
                #expect(letter.json["originalBytes"]?.integer == Int64(poison.value?.count ?? 0))
                #expect(letter.key == Array(Self.exec.utf8))
                if letter.json["originalEncoding"] == nil, letter.json["isTruncated"] == nil {
                    #expect(letter.json["originalMessage"]?.string.map { Array($0.utf8) } == poison.value ?? [])
                }
            }
        }
    }

    @Test func `a tenant's messages run for the tenant's owner, an unknown tenant's are refused`() async throws {
        try await BusFixture.with { fixture in
            let home = "tenant_\(fixture.plane.organization).persona.exec.v1"
            try await fixture.intake.take(fixture.message(Self.good, topic: home), "c")
            #expect(fixture.requests.principals.map(\.organizationID) == [fixture.plane.organization])
            #expect(fixture.requests.principals.map(\.userID) == [fixture.plane.user])
            for tenant in ["org_01jd0000000000000000000000", "x", "../.."] {
                try await fixture.intake.take(
                    fixture.message(Self.good, topic: "tenant_\(tenant).persona.exec.v1"),
                    "c"
                )
            }
            #expect(fixture.meter.reading.refused == 3)
            try await fixture.outbox.pass()
            let letters = try await fixture.messages(in: .deadLetters)
            #expect(letters.allSatisfy { $0.json["errorCode"]?.string == "not_found" })
        }
    }

    @Test func `what may pass is tried three times, and the server's own troubles are waited for`() async throws {
        try await BusFixture.with { fixture in
            let conflict = BerthError(.conflict, "the environment is in error")
            let unavailable = BerthError(.unavailable, "the database is closed", isRetryable: true)
            fixture.requests.fail(with: [unavailable, conflict, unavailable])
            try await fixture.intake.take(fixture.message(Self.good), "c")
            #expect(fixture.meter.reading.taken == 1)
            fixture.requests.fail(with: [conflict, conflict, conflict])
            try await fixture.intake.take(fixture.message(Array(#"{"command":["x"]}"#.utf8), offset: 9), "c")
            try await fixture.outbox.pass()
            let letter = try #require(try await fixture.messages(in: .deadLetters).first)
            #expect(letter.json["retryCount"]?.integer == 3)
            #expect(letter.json["error"]?.string == "the environment is in error")
        }
    }

    @Test func `the offset moves only behind what is durable`() async throws {
        try await BusFixture.with { fixture in
            try await fixture.bus.publish(
                (0..<30).map { OutgoingMessage(Self.exec, "k\($0)", #"{"executionId":"r\#($0)","command":["true"]}"#) }
                    + [OutgoingMessage(Self.exec, "k", "poison")]
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await fixture.intake.run() }
                let time = SystemTime()
                let deadline = time.uptime + .seconds(30)
                var lag: Int64 = 31
                while lag > 0, time.uptime < deadline {
                    try await time.wait(for: .milliseconds(20))
                    let positions = try await fixture.bus.positions(of: "berth", in: [Self.exec])
                    lag = positions.isEmpty ? 31 : positions.reduce(0) { $0 + $1.lag }
                }
                group.cancelAll()
                do { try await group.waitForAll() } catch is CancellationError {}
                #expect(lag == 0)
            }
            #expect(fixture.meter.reading.taken == 30)
            #expect(fixture.meter.reading.refused == 1)
        }
    }
}
