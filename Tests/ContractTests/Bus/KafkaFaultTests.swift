import Base
import EventBus
import EventBusKafka
import TestSupport
import Testing

/// Brokers that are gone, fail, or are none.
@Suite struct KafkaFaultTests {
    private static let topic = "persona.lifecycle.v1"

    private static func bus(_ brokers: String, timeout: Duration = .seconds(2)) throws -> KafkaBus {
        try KafkaBus(KafkaConfiguration(brokers: brokers, deliveryTimeout: timeout))
    }

    @Test func `a broker that is gone is unavailable, and takes messages when it is back`() async throws {
        let brokers = try await MockBrokers(1, topics: ["\(Self.topic):1"])
        let bus = try Self.bus(brokers.address)
        try await bus.publish([OutgoingMessage(Self.topic, "k", "before")])
        try await brokers.command("down 1")
        let error = await #expect(throws: BerthError.self) {
            try await bus.publish([OutgoingMessage(Self.topic, "k", "lost")])
        }
        #expect(error?.code == .unavailable)
        #expect(error?.isRetryable == true)
        try await brokers.command("up 1")
        var isPublished = false
        for _ in 0..<10 where !isPublished {
            isPublished = (try? await bus.publish([OutgoingMessage(Self.topic, "k", "after")])) != nil
        }
        #expect(isPublished)
        let end = try #require(try await bus.topics { $0 == Self.topic }.first?.partitions.first?.end)
        let read = try await bus.all(of: Self.topic, count: Int(end))
        #expect(read.first?.text == "before")
        #expect(read.last?.text == "after")
        await bus.close()
    }

    /// Kafka's numbers: request 0 is Produce; 19 is NOT_ENOUGH_REPLICAS, 6 NOT_LEADER, 7 REQUEST_TIMED_OUT.
    @Test(arguments: [19, 6, 7])
    func `a fault that passes loses and doubles nothing`(code: Int) async throws {
        let brokers = try await MockBrokers(1, topics: ["\(Self.topic):1"])
        let bus = try Self.bus(brokers.address, timeout: .seconds(30))
        try await bus.publish([OutgoingMessage(Self.topic, "k", "0")])
        try await brokers.command("fail 0 \(code) 3")
        try await bus.publish((1..<20).map { OutgoingMessage(Self.topic, "k", "\($0)") })
        let read = try await bus.all(of: Self.topic, count: 20)
        #expect(read.map(\.text) == (0..<20).map { "\($0)" })
        await bus.close()
    }

    @Test func `a peer that answers garbage is unavailable, by name`() async throws {
        let peer = try await ScriptedPeer("garbage.py", [])
        let bus = try Self.bus("127.0.0.1:\(peer.port)")
        let publishing = await #expect(throws: BerthError.self) {
            try await bus.publish([OutgoingMessage(Self.topic, "k", "v")])
        }
        #expect(publishing?.code == .unavailable)
        let asking = await #expect(throws: BerthError.self) { try await bus.topics { _ in true } }
        #expect(asking?.code == .unavailable)
        await bus.close()
    }

    @Test func `publishing that is cancelled ends at once`() async throws {
        let bus = try Self.bus("127.0.0.1:1", timeout: .seconds(300))
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await #expect(throws: CancellationError.self) {
                    try await bus.publish([OutgoingMessage(Self.topic, "k", "v")])
                }
            }
            group.cancelAll()
        }
        await bus.close()
    }

    @Test func `headers and committed transactions of another client arrive`() async throws {
        let brokers = try await MockBrokers(1, topics: ["\(Self.topic):1"])
        let producer = try KafkaClients.python(
            "aiokafka",
            "aiokafka_transaction.py",
            [brokers.address, Self.topic, "committed", "aborted"]
        )
        #expect(try await producer.exit() == 0)
        let bus = try Self.bus(brokers.address)
        let consumer = try await bus.consumer(group: "g", of: TopicSelection([Self.topic]))
        let first = try #require(try await consumer.take(1).first)
        #expect(first.text == "committed")
        #expect(first.headers == [BusHeader("from", text: "aiokafka")])
        await consumer.close()
        await bus.close()
    }

    @Test func `settings for logins and TLS reach librdkafka, and wrong ones are refused by name`() async throws {
        var configuration = KafkaConfiguration(brokers: "127.0.0.1:1")
        for mechanism in KafkaConfiguration.Mechanism.allCases {
            configuration.login = .init(mechanism: mechanism, user: "u", password: Secret("p"))
            for tls in [nil, KafkaConfiguration.TLS(authorities: "/etc/ssl/certs/ca-certificates.crt")] {
                configuration.tls = tls
                await (try KafkaBus(configuration)).close()
            }
        }
        configuration.tls = KafkaConfiguration.TLS(authorities: "/nowhere.pem")
        let error = #expect(throws: BerthError.self) { try KafkaBus(configuration) }
        #expect(error?.code == .invalidValue)
    }
}
