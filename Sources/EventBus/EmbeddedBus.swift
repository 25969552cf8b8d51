public import Base
public import Database
import Synchronization

/// The bus of a server without brokers: a log in the control-plane database, and topics that are read from what the
/// database has anyway (``LogView``). Servers on one database share it.
public final class EmbeddedBus: EventBus {
    /// Bytes after which a page ends.
    static let pageBytes = 8 << 20
    let database: any SQLDatabase
    let time: any TimeSource
    let views: [any LogView]
    private let seal: ValueSeal
    private let randomness: any Randomness
    private let partitions: Int
    /// Rings at every message published through this process.
    let bell = Wakeup()
    /// Members of groups that have not left.
    private let members = Mutex<[Member]>([])

    struct Member: Sendable, Equatable {
        var group: String
        var id: String
    }

    public init(
        database: any SQLDatabase,
        time: any TimeSource,
        randomness: any Randomness,
        seal: ValueSeal,
        partitions: Int = 6,
        views: [any LogView] = []
    ) {
        self.database = database
        self.time = time
        self.randomness = randomness
        self.seal = seal
        self.partitions = partitions
        self.views = views
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] { EmbeddedBusStore.statements }

    public var kind: String { "embedded" }

    public func cluster() async throws -> String { kind }

    public func ensure(_ topics: [String]) async throws {
        let (now, partitions) = (time.now, partitions)
        let stored = topics.filter { view(of: $0) == nil }
        let known = try await database.read { connection in
            try stored.filter { try connection.first(EmbeddedBusStore.count, $0)?.integer("count") != 0 }
        }
        guard known.count < stored.count else { return }
        do {
            try await database.write { connection in
                for topic in stored { try Self.ensure(topic, partitions, at: now, connection) }
            }
        } catch let error as BerthError where error.code == .conflict {
            // Another server made them at the same moment.
        }
    }

    public func publish(_ messages: [OutgoingMessage]) async throws {
        guard !messages.isEmpty else { return }
        for message in messages where view(of: message.topic) != nil {
            throw BerthError(
                .unsupported,
                "\(message.topic) is written by the server alone",
                field: "topic",
                remedy: "publish to \(BusTopic.execution.rawValue)"
            )
        }
        try await ensure(Array(Set(messages.map(\.topic)).sorted()))
        let now = time.now
        // A message without a key goes anywhere.
        let places = messages.map { $0.key.map(Self.hash) ?? randomness.next() }
        let messages = try messages.map { message in
            var message = message
            message.value = try seal.closed(message.value, for: message.topic)
            return message
        }
        try await database.write { connection in
            var batches: [String: [Int64: [OutgoingMessage]]] = [:]
            for (message, place) in zip(messages, places) {
                let count = try connection.first(EmbeddedBusStore.count, message.topic)?.integer("count") ?? 1
                batches[message.topic, default: [:]][Int64(place % UInt64(max(1, count))), default: []].append(message)
            }
            // In one order for everybody, so that two servers never wait for each other's rows.
            for (topic, parts) in batches.sorted(by: { $0.key < $1.key }) {
                for (part, batch) in parts.sorted(by: { $0.key < $1.key }) {
                    try Self.append(batch, to: topic, part, at: now, connection)
                }
            }
        }
        bell.ring()
    }

    public func consumer(group: String, of topics: TopicSelection) async throws -> any BusConsumer {
        try await ensure(topics.names)
        let member = Member(group: group, id: Hex.encode(randomness.bytes(8)))
        members.withLock { $0.append(member) }
        return EmbeddedConsumer(self, group: group, topics: topics, member: member.id)
    }

    /// What it read passes on at once. Left undone, as in a task that is cancelled, ``close()`` does it.
    func leave(_ member: Member) async {
        let (group, id) = (member.group, member.id)
        let hasLeft: Void? = try? await database.write { connection in
            try connection.run(EmbeddedBusStore.releaseAll, group, id)
            try connection.run(EmbeddedBusStore.dropMember, group, id)
        }
        if hasLeft != nil { members.withLock { $0.removeAll { $0 == member } } }
    }

    public func topics(where isWanted: @escaping @Sendable (String) -> Bool) async throws -> [TopicStatus] {
        let rows = try await database.read { try $0.rows(EmbeddedBusStore.partitions) }
        var topics: [TopicStatus] = []
        for row in rows {
            let name = try row.text("topic")
            guard isWanted(name) else { continue }
            if topics.last?.name != name { topics.append(TopicStatus(name: name, partitions: [])) }
            topics[topics.count - 1].partitions.append(
                PartitionStatus(
                    partition: Int32(try row.int("part")),
                    first: try row.integer("first_offset"),
                    end: try row.integer("next_offset")
                )
            )
        }
        for view in views {
            for name in try await view.topics() where isWanted(name) {
                topics.append(TopicStatus(name: name, partitions: [try await view.bounds(of: name)]))
            }
        }
        return topics.sorted { $0.name < $1.name }
    }

    public func positions(of group: String?, in topics: [String]) async throws -> [GroupPosition] {
        let rows = try await database.read { connection in
            try group.map { try connection.rows(EmbeddedBusStore.group, $0) }
                ?? connection.rows(EmbeddedBusStore.groups)
        }
        let status = try await self.topics { topics.contains($0) }
        return try rows.compactMap { row in
            let (topic, part) = (try row.text("topic"), Int32(try row.int("part")))
            guard
                let bounds = status.first(where: { $0.name == topic })?.partitions.first(where: { $0.partition == part }
                )
            else { return nil }
            return GroupPosition(
                group: try row.text("consumer_group"),
                topic: topic,
                partition: part,
                committed: try row.optionalInteger("committed_offset"),
                first: bounds.first,
                end: bounds.end
            )
        }
    }

    public func read(_ topic: String, from positions: [Int32: Int64], limit: Int, wait: Duration) async throws
        -> [BusMessage]
    {
        let deadline = time.uptime + wait
        var positions = positions
        while true {
            let (seen, before) = (bell.count, positions)
            var messages: [BusMessage] = []
            for (partition, offset) in positions.sorted(by: { $0.key < $1.key }) where messages.count < limit {
                let page = try await page(topic, partition, from: offset, limit: limit - messages.count)
                positions[partition] = max(offset, page.next)
                messages += page.messages
            }
            guard messages.isEmpty, time.uptime < deadline else { return messages }
            if positions == before { try await waitForNews(after: seen, until: deadline) }
        }
    }

    public func close() async {
        for member in members.withLock({ $0 }) { await leave(member) }
    }

    /// A page of a partition and where the next one begins. Throws `notFound` when there is no such partition.
    func page(_ topic: String, _ partition: Int32, from offset: Int64, limit: Int) async throws
        -> (messages: [BusMessage], next: Int64)
    {
        if let view = view(of: topic) { return try await view.read(topic, from: offset, limit: limit) }
        let seal = seal
        return try await database.read { connection in
            guard let row = try connection.first(EmbeddedBusStore.partition, topic, Int(partition)) else {
                throw BerthError(
                    .notFound,
                    "there is no topic '\(topic.prefix(80))' with a partition \(partition)",
                    field: "topic",
                    remedy: "see berth bus topics"
                )
            }
            let start = max(offset, try row.integer("first_offset"))
            var (messages, bytes): ([BusMessage], Int) = ([], 0)
            let values = [topic.sqlValue, Int(partition).sqlValue, start.sqlValue, limit.sqlValue]
            try connection.forEach(EmbeddedBusStore.page, values) { row in
                var message = try EmbeddedBusStore.message(row)
                message.value = try seal.opened(message.value, of: topic)
                messages.append(message)
                bytes += (message.value?.count ?? 0) + (message.key?.count ?? 0)
                return bytes < Self.pageBytes
            }
            return (messages, messages.last.map { $0.offset + 1 } ?? start)
        }
    }

    func view(of topic: String) -> (any LogView)? { views.first { $0.contains(topic) } }

    /// Another process's messages ring no bell here, and a view's neither: they are looked for every quarter of a second.
    func waitForNews(after count: UInt64, until deadline: Uptime) async throws {
        let soon = min(deadline, time.uptime + .milliseconds(250))
        try await bell.wait(after: count, until: soon, time: time)
    }

    private static func ensure(_ topic: String, _ partitions: Int, at now: Timestamp, _ connection: any SQLConnection)
        throws
    {
        guard try connection.first(EmbeddedBusStore.count, topic)?.integer("count") == 0 else { return }
        for part in 0..<partitions { try connection.run(EmbeddedBusStore.insertPartition, topic, part, now) }
    }

    private static func append(
        _ batch: [OutgoingMessage],
        to topic: String,
        _ part: Int64,
        at now: Timestamp,
        _ connection: any SQLConnection
    ) throws {
        guard let row = try connection.first(EmbeddedBusStore.advance, topic, part, batch.count) else {
            throw BerthError(.notFound, "there is no topic '\(topic.prefix(80))'", field: "topic")
        }
        let first = try row.integer("next_offset") - Int64(batch.count)
        for (index, message) in batch.enumerated() {
            try connection.run(
                EmbeddedBusStore.insert,
                topic,
                part,
                first + Int64(index),
                message.key,
                message.value,
                BusHeader.text(message.headers),
                now
            )
        }
    }

    /// FNV-1a, 64 bits: the same on every machine.
    private static func hash(_ key: [UInt8]) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }
}

extension EmbeddedBus {
    /// Removes what came before `moment`.
    public func trim(before moment: Timestamp) async throws {
        for topic in try await topics(where: { self.view(of: $0) == nil }) {
            for partition in topic.partitions {
                var isMore = true
                while isMore {
                    isMore = try await trim(topic.name, partition.partition, before: moment)
                }
            }
        }
    }

    private func trim(_ topic: String, _ part: Int32, before moment: Timestamp) async throws -> Bool {
        let part = Int(part)
        let last = try await database.read { connection in
            try connection.first(EmbeddedBusStore.outdated, topic, part, moment)?.optionalInteger("last")
        }
        guard let last else { return false }
        try await database.write { connection in
            try connection.run(EmbeddedBusStore.delete, topic, part, last)
            try connection.run(EmbeddedBusStore.trim, topic, part, last + 1)
        }
        return true
    }
}
