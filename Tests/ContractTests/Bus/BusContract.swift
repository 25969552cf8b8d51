import Base
import EventBus
import TestSupport
import Testing

/// What every bus promises.
@Suite struct BusContract {
    private static let topic = "persona.exec.v1"

    @Test(arguments: BusUnderTest.all)
    func `a message comes back as it was, to the byte`(under test: BusUnderTest) async throws {
        try await test.open([Self.topic]) { bus in
            let everyByte = (0...255).map { UInt8($0) }
            let published = [
                OutgoingMessage(
                    topic: Self.topic,
                    key: [0, 0xFF, 0x41],
                    value: everyByte,
                    headers: [BusHeader("a", everyByte), BusHeader("a", text: "twice"), BusHeader("empty", [])]
                ),
                OutgoingMessage(topic: Self.topic, key: nil, value: []),
                OutgoingMessage(topic: Self.topic, key: [], value: nil),
            ]
            try await bus.publish(published)
            let consumer = try await bus.consumer(group: "g", of: TopicSelection([Self.topic]))
            let taken = try await consumer.take(3)
            for message in published {
                let found = try #require(taken.first { $0.value == message.value && $0.key == message.key })
                #expect(found.headers == message.headers)
                #expect(found.topic == Self.topic)
                #expect(found.at != nil)
            }
            await consumer.close()
        }
    }

    @Test(arguments: BusUnderTest.all)
    func `messages with one key keep their order and have rising offsets`(under test: BusUnderTest) async throws {
        try await test.open([Self.topic]) { bus in
            for batch in 0..<5 {
                try await bus.publish(
                    (0..<20).map { OutgoingMessage(Self.topic, "key-\($0 % 4)", "\(batch * 20 + $0)") }
                )
            }
            let consumer = try await bus.consumer(group: "g", of: TopicSelection([Self.topic]))
            let taken = try await consumer.take(100)
            #expect(taken.count == 100)
            for key in 0..<4 {
                let own = taken.filter { $0.key == Array("key-\(key)".utf8) }
                #expect(own.map(\.text) == (0..<100).filter { $0 % 20 % 4 == key }.map { "\($0)" })
                #expect(Set(own.map(\.partition)).count == 1)
                #expect(zip(own, own.dropFirst()).allSatisfy { $0.offset < $1.offset })
            }
            await consumer.close()
        }
    }

    @Test(arguments: BusUnderTest.all)
    func `a group goes on behind what it committed, and gets the rest again`(under test: BusUnderTest) async throws {
        try await test.open([Self.topic]) { bus in
            try await bus.publish((0..<10).map { OutgoingMessage(Self.topic, "one key", "\($0)") })
            let first = try await bus.consumer(group: "g", of: TopicSelection([Self.topic]))
            let taken = try await first.take(10)
            try await first.commit(taken[3])
            await first.close()
            let second = try await bus.consumer(group: "g", of: TopicSelection([Self.topic]))
            let rest = try await second.take(6).map(\.text)
            #expect(rest == ["4", "5", "6", "7", "8", "9"])
            await second.close()
            let other = try await bus.consumer(group: "another", of: TopicSelection([Self.topic]))
            #expect(try await other.take(10).count == 10)
            await other.close()
        }
    }

    @Test(arguments: BusUnderTest.all)
    func `members share a topic, and what one leaves the others take over`(under test: BusUnderTest) async throws {
        try await test.open([Self.topic]) { bus in
            let selection = TopicSelection([Self.topic])
            let (first, second) = (
                try await bus.consumer(group: "g", of: selection), try await bus.consumer(group: "g", of: selection)
            )
            try await bus.publish((0..<60).map { OutgoingMessage(Self.topic, "key-\($0)", "\($0)") })
            var texts: Set<String> = []
            let deadline = SystemTime().uptime + .seconds(40)
            // Until each has what is its own: what moves meanwhile comes twice, and nothing is missed.
            while texts.count < 60, SystemTime().uptime < deadline {
                for consumer in [first, second] {
                    for message in try await consumer.poll(limit: 100, wait: .milliseconds(200)) {
                        texts.insert(message.text)
                        do {
                            try await consumer.commit(message)
                        } catch let error as BerthError where error.code == .stale {}
                    }
                }
            }
            #expect(texts.count == 60)
            await first.close()
            try await bus.publish((0..<30).map { OutgoingMessage(Self.topic, "key-\($0)", "later-\($0)") })
            var later: Set<String> = []
            while later.count < 30, SystemTime().uptime < deadline + .seconds(40) {
                for message in try await second.poll(limit: 100, wait: .seconds(1)) where message.text.hasPrefix("l") {
                    later.insert(message.text)
                }
            }
            #expect(later.count == 30)
            await second.close()
        }
    }

    @Test(arguments: BusUnderTest.all)
    func `a group's lag is what it has yet to commit`(under test: BusUnderTest) async throws {
        try await test.open([Self.topic]) { bus in
            try await bus.publish((0..<8).map { OutgoingMessage(Self.topic, "one key", "\($0)") })
            let consumer = try await bus.consumer(group: "g", of: TopicSelection([Self.topic]))
            let taken = try await consumer.take(8)
            try await consumer.commit(taken[4])
            let positions = try await bus.positions(of: "g", in: [Self.topic])
            #expect(positions.reduce(0) { $0 + $1.lag } == 3)
            #expect(positions.compactMap(\.committed).max() == taken[4].offset + 1)
            let topics = try await bus.topics { $0 == Self.topic }
            #expect(topics.first?.partitions.reduce(0) { $0 + $1.end - $1.first } == 8)
            await consumer.close()
        }
    }

    @Test(arguments: BusUnderTest.all)
    func `a tenant's topic that comes later is read as well`(under test: BusUnderTest) async throws {
        let tenant = "tenant_org_01jd0000000000000000000000.persona.exec.v1"
        try await test.open([Self.topic, tenant]) { bus in
            let consumer = try await bus.consumer(
                group: "g",
                of: TopicSelection([Self.topic], tenantsOf: [.execution])
            )
            try await bus.publish([OutgoingMessage(Self.topic, "k", "home")])
            #expect(try await consumer.take(1).map(\.text) == ["home"])
            try await bus.publish([OutgoingMessage(tenant, "k", "tenant")])
            let taken = try await consumer.take(1)
            #expect(taken.map(\.text) == ["tenant"])
            #expect(taken.first?.topic == tenant)
            await consumer.close()
        }
    }

    @Test(arguments: BusUnderTest.all)
    func `messages are read from an offset on without a group`(under test: BusUnderTest) async throws {
        try await test.open([Self.topic]) { bus in
            try await bus.publish((0..<6).map { OutgoingMessage(Self.topic, "one key", "\($0)") })
            let topic = try #require(try await bus.topics { $0 == Self.topic }.first)
            let partition = try #require(topic.partitions.first { $0.end == 6 }?.partition)
            let read = try await bus.read(Self.topic, from: [partition: 4], limit: 1, wait: .seconds(10))
            #expect(read.map(\.text) == ["4"])
            let none = try await bus.read(Self.topic, from: [partition: 6], limit: 10, wait: .milliseconds(50))
            #expect(none.isEmpty)
            #expect(try await bus.positions(of: "berth-reader", in: [Self.topic]).allSatisfy { $0.committed == nil })
        }
    }
}
