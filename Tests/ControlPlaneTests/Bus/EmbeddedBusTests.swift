import Base
import Database
import EventBus
import TestSupport
import Testing

/// What the embedded log does by itself that brokers do elsewhere.
@Suite struct EmbeddedBusTests {
    private static let topic = "persona.exec.v1"

    @Test func `values are closed in the database`() async throws {
        try await withDatabase { database in
            let bus = EmbeddedBus.under(test: database)
            try await bus.publish([OutgoingMessage(Self.topic, "k", "sk-ant-secret")])
            let stored = try await database.read {
                try $0.rows("SELECT value FROM bus_messages").map { try $0.blob("value") }
            }
            #expect(stored.map { String(decoding: $0, as: UTF8.self) } == ["closed persona.exec.v1 terces-tna-ks"])
        }
    }

    @Test func `a member that is gone without a word loses its partitions when its lease runs out`() async throws {
        let time = SettableTime()
        try await withDatabase(time: time) { database in
            let bus = EmbeddedBus.under(test: database, time: time)
            try await bus.publish((0..<12).map { OutgoingMessage(Self.topic, "key-\($0)", "\($0)") })
            let gone = try await bus.consumer(group: "g", of: TopicSelection([Self.topic]))
            let taken = try await gone.poll(limit: 100, wait: .zero)
            #expect(taken.count == 12)
            let next = try await bus.consumer(group: "g", of: TopicSelection([Self.topic]))
            #expect(try await next.poll(limit: 100, wait: .zero).isEmpty)
            time.advance(.seconds(11))
            #expect(try await next.poll(limit: 100, wait: .zero).count == 12)
            let error = await #expect(throws: BerthError.self) { try await gone.commit(taken[0]) }
            #expect(error?.code == .stale)
        }
    }

    @Test func `what a member read in a task that was cancelled passes on when the bus is closed`() async throws {
        let time = SettableTime()
        try await withDatabase(time: time) { database in
            let bus = EmbeddedBus.under(test: database, time: time)
            try await bus.publish((0..<12).map { OutgoingMessage(Self.topic, "key-\($0)", "\($0)") })
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    guard let consumer = try? await bus.consumer(group: "g", of: TopicSelection([Self.topic])) else {
                        return
                    }
                    #expect(((try? await consumer.poll(limit: 100, wait: .zero)) ?? []).count == 12)
                    withUnsafeCurrentTask { $0?.cancel() }
                    await consumer.close()
                }
            }
            await bus.close()
            let next = EmbeddedBus.under(test: database, time: time)
            let consumer = try await next.consumer(group: "g", of: TopicSelection([Self.topic]))
            #expect(try await consumer.poll(limit: 100, wait: .zero).count == 12)
        }
    }

    @Test func `what is older than the retention goes, and readers go on behind it`() async throws {
        let time = SettableTime()
        try await withDatabase(time: time) { database in
            let bus = EmbeddedBus.under(test: database, time: time)
            try await bus.publish((0..<2500).map { OutgoingMessage(Self.topic, "one key", "\($0)") })
            time.advance(.seconds(100))
            try await bus.publish([OutgoingMessage(Self.topic, "one key", "new")])
            try await bus.trim(before: time.now + .seconds(-50))
            let topic = try #require(try await bus.topics { $0 == Self.topic }.first)
            let partition = try #require(topic.partitions.first { $0.end == 2501 })
            #expect(partition.first == 2500)
            let read = try await bus.read(Self.topic, from: [partition.partition: 0], limit: 10, wait: .zero)
            #expect(read.map(\.text) == ["new"])
            let consumer = try await bus.consumer(group: "g", of: TopicSelection([Self.topic]))
            #expect(try await consumer.poll(limit: 10, wait: .zero).map(\.text) == ["new"])
        }
    }

    @Test func `topics are parsed by their names`() throws {
        let organization = try OrganizationID("org_01jd0000000000000000000000")
        for topic in BusTopic.allCases {
            let parsed = try #require(BusTopic.parse(topic.name(tenant: organization)))
            #expect(parsed.topic == topic)
            #expect(parsed.tenant.map(String.init) == organization.text)
            #expect(BusTopic.parse(topic.name(tenant: nil))?.tenant == nil)
        }
        for name in ["", "persona.exec.v2", "tenant_.persona.exec.v1", "tenant_x.other", "xpersona.exec.v1"] {
            #expect(BusTopic.parse(name) == nil, "\(name)")
        }
        let all = TopicSelection([Self.topic], tenantsOf: [.execution])
        #expect(all.contains("tenant_x.persona.exec.v1"))
        #expect(!all.contains("tenant_x.persona.output.v1"))
    }
}
