public import Base
public import Database
import Domain
public import EventBus

/// Hands on what happens here: the feed's events, stored output and held messages, in order, each confirmed before its
/// position moves. While the bus is gone everything stays where it is; while a topic takes nothing, what is for that topic
/// does. One server of several does this at a time.
public struct BusOutbox: Sendable {
    let database: any SQLDatabase
    let bus: any EventBus
    let tenants: BusTenants
    let output: any StoredOutputReading
    let held: HeldMessages
    let meter: BusMeter
    let time: any TimeSource
    /// Whether events and output are handed on; otherwise held messages alone, for a bus that reads the rest by itself.
    let carriesFeed: Bool
    /// Whether output is.
    let carriesOutput: Bool
    private let feed: Feed
    private let randomness: any Randomness
    /// Names this server among those that may publish.
    private let holder: String

    /// How long a server that stopped without a word keeps the others from publishing; longer than a bus takes to say
    /// that it is gone.
    private static let lease = Duration.seconds(15)
    private static let renewal = Duration.seconds(3)

    public init(
        database: any SQLDatabase,
        feed: Feed,
        bus: any EventBus,
        tenants: BusTenants,
        output: any StoredOutputReading,
        held: HeldMessages,
        meter: BusMeter,
        holder: String,
        carriesFeed: Bool,
        carriesOutput: Bool,
        time: any TimeSource,
        randomness: any Randomness
    ) {
        self.database = database
        self.feed = feed
        self.bus = bus
        self.tenants = tenants
        self.output = output
        self.held = held
        self.meter = meter
        self.carriesFeed = carriesFeed
        self.carriesOutput = carriesOutput
        self.time = time
        self.randomness = randomness
        self.holder = holder
    }

    /// For the test that prepares every statement.
    public static var statements: [SQL] { BusStore.statements }

    /// Follows every organization from now on; those that are made later, from their beginning. To be called before
    /// requests are taken: what they change is then never missed, whether or not the bus is there.
    public func begin() async throws {
        guard carriesFeed else { return }
        let (names, output, now) = (topics.map(position(of:)), position(of: .output), time.now)
        let carriesOutput = carriesOutput
        try await database.write { connection in
            // Should output be published again, then from that time on.
            if !carriesOutput { try connection.run(BusStore.unfollow, output) }
            for name in names where try connection.first(BusStore.known, name)?.integer("count") == 0 {
                for row in try connection.rows(BusStore.unfollowed, name) {
                    let organization: OrganizationID = try row.id("organization_id")
                    try connection.run(BusStore.follow, name, organization, try row.integer("seq"), now)
                }
            }
        }
    }

    /// What follows the feed, each by itself, in this order.
    private var topics: [BusTopic] { (carriesOutput ? [.output] : []) + [.lifecycle, .events] }

    /// Under which a topic's positions are kept.
    private func position(of topic: BusTopic) -> String {
        switch topic {
        case .output: bus.kind + ".output"
        case .events: bus.kind + ".events"
        default: bus.kind
        }
    }

    /// Runs until it is cancelled.
    public func run() async throws {
        var backoff = Backoff(first: .milliseconds(500), limit: .seconds(10))
        var renewAt = time.uptime
        while !Task.isCancelled {
            let heldSeen = held.bell.count
            var pause = carriesFeed ? Duration.milliseconds(100) : .seconds(5)
            do {
                if time.uptime >= renewAt {
                    guard try await hold() else {
                        try await time.wait(for: .seconds(2))
                        continue
                    }
                    renewAt = time.uptime + Self.renewal
                }
                if try await pass() { pause = .zero }
                backoff.reset()
            } catch {
                guard !Task.isCancelled else { break }
                meter.failed(BerthError(wrapping: error))
                try? await countWaiting()
                pause = backoff.next(randomness)
                renewAt = time.uptime
            }
            try await held.bell.wait(after: heldSeen, until: time.uptime + pause, time: time)
        }
        try Task.checkCancellation()
    }

    /// One round over everything that waits. Returns whether more waits already.
    @discardableResult
    public func pass() async throws -> Bool {
        var isMore = false
        for topic in try await held.topics() where !meter.isResting(topic) {
            isMore = try await held.drain(topic) { try await publish($0, to: topic) } || isMore
        }
        if carriesFeed {
            for topic in topics {
                for one in try await behind(topic) {
                    let isLeft =
                        topic == .output
                        ? try await followOutput(one) : try await publishEvents(topic, one)
                    isMore = isLeft || isMore
                }
            }
            if carriesOutput { isMore = try await publishOutput(of: nil) || isMore }
        }
        try await countWaiting()
        return isMore
    }

    /// What waits is counted also while the bus is gone.
    private func countWaiting() async throws {
        var behind: [OrganizationID: Int64] = [:]
        for topic in carriesFeed ? topics : [] {
            for one in try await self.behind(topic) {
                behind[one.organization] = max(behind[one.organization] ?? 0, one.end - one.position)
            }
        }
        let waiting = behind.values.reduce(0, +)
        let held = try await database.read { try $0.first(BusStore.heldCount)?.integer("count") ?? 0 }
        meter.count {
            $0.waitingEvents = waiting
            $0.held = held
        }
    }

    /// Events of an organization up to this number may be forgotten, as far as this bus goes; nil: all.
    public func position(in organization: OrganizationID) async throws -> Int64? {
        guard carriesFeed else { return nil }
        let names = topics.map(position(of:))
        return try await database.read { connection in
            try names.map { try connection.first(BusStore.position, $0, organization)?.integer("seq") ?? 0 }.min()
        }
    }

    /// Lets another server publish at once.
    public func letGo() async {
        let (name, holder) = (bus.kind, holder)
        // Left undone, the lease runs out by itself.
        _ = try? await database.write { try $0.run(BusStore.dropLease, name, holder) }
    }

    // MARK: - Which server publishes

    private func hold() async throws -> Bool {
        let (name, holder, now) = (bus.kind, holder, time.now)
        let until = now + Self.lease
        do {
            return try await database.write { connection in
                if try connection.run(BusStore.lease, name, holder, until, now) == 1 { return true }
                guard try connection.first(BusStore.leaseKnown, name) == nil else { return false }
                try connection.run(BusStore.insertLease, name, holder, until)
                return true
            }
        } catch let error as BerthError where error.code == .conflict {
            return false
        }
    }

    // MARK: - Events

    struct Behind: Sendable {
        var organization: OrganizationID
        var position: Int64
        var end: Int64
    }

    private func behind(_ topic: BusTopic) async throws -> [Behind] {
        let (name, now) = (position(of: topic), time.now)
        let new = try await database.read { connection in
            try connection.rows(BusStore.unfollowed, name).map { try $0.id(OrganizationKind.self, "organization_id") }
        }
        if !new.isEmpty {
            try await database.write { connection in
                for organization in new { try connection.run(BusStore.follow, name, organization, 0, now) }
            }
        }
        return try await database.read { connection in
            try connection.rows(BusStore.behind, name).map { row in
                Behind(
                    organization: try row.id("organization_id"),
                    position: try row.integer("position"),
                    end: try row.integer("seq")
                )
            }
        }
    }

    /// A page of what one organization's feed has for a topic. Returns whether there is more to take.
    private func publishEvents(_ topic: BusTopic, _ behind: Behind) async throws -> Bool {
        let organization = behind.organization
        let target = tenants.name(of: topic, for: organization)
        guard !meter.isResting(target) else { return false }
        var events = try await feed.read(organization, after: behind.position, limit: 200, visibleTo: nil)
        if topic == .lifecycle, carriesOutput {
            // The last output of an execution comes before the word of its end.
            let name = position(of: .output)
            let done = try await database.read { connection in
                try connection.first(BusStore.position, name, organization)?.integer("seq") ?? 0
            }
            events.removeAll { $0.seq > done }
        }
        guard let last = events.last?.seq else { return false }
        let relevant = events.filter { BusMessages.topic(of: $0) == topic }
        let details = try await database.read { try BusStore.details(of: relevant, $0) }
        let messages = relevant.map { BusMessages.message($0, details[$0.subject] ?? .none, to: target) }
        guard try await publish(messages, to: target) else { return false }
        try await move(topic, behind, to: last) { _ in }
        return last < behind.end
    }

    /// A page of the beginnings and ends of attempts. What ended is published to its end, unless the topic refuses it: then
    /// it stays followed. Returns whether there is more to take.
    private func followOutput(_ behind: Behind) async throws -> Bool {
        let events = try await feed.read(behind.organization, after: behind.position, limit: 200, visibleTo: nil)
        guard let last = events.last?.seq else { return false }
        let news = events.filter { BusMessages.topic(of: $0) == .lifecycle }.compactMap(AttemptNews.init)
        try await follow(news.filter(\.isBeginning), behind.organization)
        let ends = news.filter { !$0.isBeginning }
        if !ends.isEmpty { while try await publishOutput(of: Set(ends.map(\.execution))) {} }
        let name = bus.kind
        try await move(.output, behind, to: last) { connection in
            for end in ends { try connection.run(BusStore.endStreams, name, end.execution, end.attempt) }
        }
        return last < behind.end
    }

    private func move(
        _ topic: BusTopic,
        _ behind: Behind,
        to last: Int64,
        _ more: @escaping @Sendable (any SQLConnection) throws -> Void
    ) async throws {
        let (name, now) = (position(of: topic), time.now)
        try await database.write { connection in
            try connection.run(BusStore.move, name, behind.organization, behind.position, last, now)
            try more(connection)
        }
    }

    /// Returns whether the topic took them; when it did not, it is left alone for a while. Throws when the bus is gone.
    func publish(_ messages: [OutgoingMessage], to topic: String) async throws -> Bool {
        guard !messages.isEmpty else { return true }
        do {
            if meter.hasRefused(topic) {
                // Somebody may have made it by now, or let this server make it.
                try? await bus.ensure([topic])
                guard try await !bus.topics(where: { $0 == topic }).isEmpty else {
                    meter.refused(topic, nil)
                    return false
                }
            }
            try await bus.publish(messages)
        } catch {
            try Task.checkCancellation()
            let error = BerthError(wrapping: error)
            guard error.code != .unavailable else { throw error }
            meter.refused(topic, error)
            return false
        }
        meter.count { $0.published += UInt64(messages.count) }
        meter.reached()
        meter.took(topic)
        return true
    }

    /// Output of attempts that a worker has is followed from here on, in the rows before any word of it is on the bus.
    private func follow(_ beginnings: [AttemptNews], _ organization: OrganizationID) async throws {
        guard !beginnings.isEmpty else { return }
        let name = bus.kind
        try await database.write { connection in
            for new in beginnings
            where try connection.first(BusStore.stream, name, new.execution, new.attempt) == nil {
                try connection.run(BusStore.insertStream, name, new.execution, new.attempt, organization)
            }
        }
    }
}

/// What an event says of an attempt's life.
struct AttemptNews: Sendable {
    var execution: ExecutionID
    var attempt: Int
    /// A worker has it; otherwise none does any more.
    var isBeginning: Bool

    init?(_ event: Event) {
        let word = event.type.dropFirst("execution.".count)
        // A short run's worker tells its start and its end in one, so that no `running` comes between.
        let isBeginning = word == "assigned" || word == "running"
        guard isBeginning || word == "queued" || BusMessages.ended.contains(String(word)),
            let execution = try? ExecutionID(event.subject),
            let payload = try? JSONValue(parsing: event.payload.utf8), let attempt = payload["attempt"]?.integer
        else { return nil }
        self.execution = execution
        self.attempt = Int(attempt)
        self.isBeginning = isBeginning
    }
}
