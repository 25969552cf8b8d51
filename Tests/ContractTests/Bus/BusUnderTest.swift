import Base
import Database
import EventBus
import EventBusKafka
import TestSupport
import Testing

/// A bus in one configuration, with nothing in it.
struct BusUnderTest: Sendable, CustomTestStringConvertible {
    let testDescription: String
    private let opened:
        @Sendable (_ topics: [String], @Sendable (any EventBus) async throws -> Void) async throws -> Void

    static let all = [
        BusUnderTest(testDescription: "embedded in SQLite") { _, body in
            try await withDatabase { try await body(EmbeddedBus.under(test: $0)) }
        },
        BusUnderTest(testDescription: "embedded in PostgreSQL") { _, body in
            try await withDatabase(on: .postgres) { try await body(EmbeddedBus.under(test: $0)) }
        },
        BusUnderTest(testDescription: "Kafka: librdkafka's mock cluster") { topics, body in
            // It cannot make topics on request.
            let brokers = try await MockBrokers(1, topics: topics.map { "\($0):3" })
            let bus = try KafkaBus(KafkaConfiguration(brokers: brokers.address))
            try await body(bus)
            await bus.close()
        },
    ]

    /// - Parameter topics: that are there from the start.
    func open(_ topics: [String], _ body: @Sendable (any EventBus) async throws -> Void) async throws {
        try await opened(topics) { bus in
            if bus.kind == "embedded" { try await bus.ensure(topics) }
            try await body(bus)
        }
    }
}

extension BusConsumer {
    /// Polls until there were `count` messages, or 30 s are over.
    func take(_ count: Int) async throws -> [BusMessage] {
        var messages: [BusMessage] = []
        let time = SystemTime()
        let deadline = time.uptime + .seconds(30)
        while messages.count < count, time.uptime < deadline {
            messages += try await poll(limit: count - messages.count, wait: .seconds(1))
        }
        return messages
    }
}

extension EventBus {
    /// The first `count` messages of a topic's first partition, as many as there are within 30 s.
    func all(of topic: String, count: Int) async throws -> [BusMessage] {
        var messages: [BusMessage] = []
        let time = SystemTime()
        let deadline = time.uptime + .seconds(30)
        while messages.count < count, time.uptime < deadline {
            let from = messages.last.map { $0.offset + 1 } ?? 0
            messages += try await read(topic, from: [0: from], limit: count - messages.count, wait: .seconds(5))
        }
        return messages
    }
}
