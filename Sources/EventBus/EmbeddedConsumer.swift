import Base
import Database

/// A member of a group of the embedded log. Partitions are leased: each member takes its share of them, and those of a
/// member that is gone pass on when its lease has run out.
actor EmbeddedConsumer: BusConsumer {
    static let lease = Duration.seconds(10)
    private static let renewal = Duration.seconds(3)

    private struct Place: Hashable, Sendable {
        var topic: String
        var partition: Int32
    }

    private struct Claimed: Sendable {
        var place: Place
        var committed: Int64?
    }

    private let bus: EmbeddedBus
    private let group: String
    private let topics: TopicSelection
    private let member: String
    /// Where this member reads on, by partition that is its own.
    private var places: [Place] = []
    private var positions: [Place: Int64] = [:]
    private var renewAt: Uptime?

    init(_ bus: EmbeddedBus, group: String, topics: TopicSelection, member: String) {
        self.bus = bus
        self.group = group
        self.topics = topics
        self.member = member
    }

    func poll(limit: Int, wait: Duration) async throws -> [BusMessage] {
        let deadline = bus.time.uptime + wait
        while true {
            let seen = bus.bell.count
            if renewAt.map({ $0 <= bus.time.uptime }) ?? true { try await claim() }
            let before = positions
            let messages = try await fetch(limit)
            guard messages.isEmpty, bus.time.uptime < deadline else { return messages }
            // A view passes over what is not for its topic.
            if positions == before { try await bus.waitForNews(after: seen, until: deadline) }
        }
    }

    func commit(_ message: BusMessage) async throws {
        let (group, member, next) = (group, member, message.offset + 1)
        let isMine = try await bus.database.write { connection in
            try connection.run(
                EmbeddedBusStore.commit,
                group,
                message.topic,
                Int(message.partition),
                member,
                next
            ) == 1
        }
        guard isMine else {
            renewAt = nil
            throw BerthError(.stale, "\(message.topic)/\(message.partition) is another member's by now")
        }
    }

    func close() async { await bus.leave(EmbeddedBus.Member(group: group, id: member)) }

    private func fetch(_ limit: Int) async throws -> [BusMessage] {
        var messages: [BusMessage] = []
        var bytes = 0
        for place in places where messages.count < limit && bytes < EmbeddedBus.pageBytes {
            let page = try await bus.page(
                place.topic,
                place.partition,
                from: positions[place] ?? 0,
                limit: limit - messages.count
            )
            positions[place] = page.next
            messages += page.messages
            bytes += page.messages.reduce(0) { $0 + ($1.value?.count ?? 0) }
        }
        // The next poll begins with another partition, so that a busy one does not starve the rest.
        if !places.isEmpty { places.append(places.removeFirst()) }
        return messages
    }

    private func claim() async throws {
        let all = try await bus.topics(where: topics.contains)
            .flatMap { topic in topic.partitions.map { Place(topic: topic.name, partition: $0.partition) } }
        let (group, member, now) = (group, member, bus.time.now)
        let claimed = try await bus.database.write { connection in
            try Self.claim(all, group, member, at: now, connection)
        }
        places = claimed.map(\.place)
        for claim in claimed where positions[claim.place] == nil { positions[claim.place] = claim.committed ?? 0 }
        // What was given away is read from the committed offset on should it come back.
        positions = positions.filter { place, _ in claimed.contains { $0.place == place } }
        renewAt = bus.time.uptime + Self.renewal
    }

    private static func claim(
        _ all: [Place],
        _ group: String,
        _ member: String,
        at now: Timestamp,
        _ connection: any SQLConnection
    ) throws -> [Claimed] {
        let until = now + lease
        if try connection.run(EmbeddedBusStore.touchMember, group, member, until) == 0 {
            try connection.run(EmbeddedBusStore.insertMember, group, member, until)
        }
        try connection.run(EmbeddedBusStore.dropMembers, group, now)
        let members = try connection.first(EmbeddedBusStore.members, group)?.int("count") ?? 1
        let share = (all.count + members - 1) / max(1, members)
        var rows: [Place: (committed: Int64?, member: String?, until: Timestamp)] = [:]
        for row in try connection.rows(EmbeddedBusStore.group, group) {
            let place = Place(topic: try row.text("topic"), partition: Int32(try row.int("part")))
            rows[place] = (
                try row.optionalInteger("committed_offset"), try row.optionalText("member"),
                try row.timestamp("leased_until")
            )
        }
        for place in all where rows[place] == nil {
            try connection.run(EmbeddedBusStore.insertGroup, group, place.topic, Int(place.partition))
            rows[place] = (nil, nil, now)
        }
        // Those it has come first, so that partitions do not wander without need.
        let mine = all.filter { rows[$0]?.member == member }
        let free = all.filter { place in
            guard let row = rows[place], row.member != member else { return false }
            return row.member == nil || row.until <= now
        }
        var claimed: [Claimed] = []
        for place in mine + free {
            let isKept = claimed.count < share
            guard isKept || rows[place]?.member == member else { continue }
            try connection.run(
                EmbeddedBusStore.lease,
                group,
                place.topic,
                Int(place.partition),
                isKept ? member : nil,
                isKept ? until : now
            )
            if isKept { claimed.append(Claimed(place: place, committed: rows[place]?.committed)) }
        }
        return claimed
    }
}
