import Base
import Bus
import Crypto
import Database
import Domain
import EventBus
import EventBusKafka
import Executions

/// The event bus of a server, with what it counts.
struct BusHouse: Sendable {
    let bus: any EventBus
    /// nil with brokers.
    let embedded: EmbeddedBus?
    let tenants: BusTenants
    let meter: BusMeter
    let held: HeldMessages
    let group: String
    let isPublishingOutput: Bool
    /// Names this run of the server among those that may publish.
    let publisher: String
    private let retention: Duration
    private let requests: RequestRetention

    static func make(
        _ configuration: Configuration,
        database: any SQLDatabase,
        feed: Feed,
        home: OrganizationID,
        sealer: Sealer,
        ids: IDSource,
        time: any TimeSource,
        randomness: any Randomness,
        log: Log
    ) throws -> BusHouse {
        let tenants = BusTenants(
            home: home,
            prefixesHome: configuration.text("busTenantPrefix") == "true",
            user: try configuration.text("busUser").map(Self.user),
            database: database
        )
        let seal = ValueSeal { value, topic in
            try sealer.seal(Secret(value), context: Self.context(home, topic))
        } open: { value, topic in
            try sealer.open(value, context: Self.context(home, topic)).reveal()
        }
        let kafka = try configuration.kafka()
        let embedded =
            kafka == nil
            ? EmbeddedBus(
                database: database,
                time: time,
                randomness: randomness,
                seal: seal,
                partitions: Int(configuration.integer("busPartitions")),
                views: [BusTopic.lifecycle, .events].map {
                    FeedView($0, database: database, feed: feed, tenants: tenants)
                }
            ) : nil
        let bus: any EventBus = try kafka.map { try KafkaBus($0) } ?? embedded ?? Self.none()
        return BusHouse(
            bus: bus,
            embedded: embedded,
            tenants: tenants,
            meter: BusMeter(time: time, randomness: randomness, log: log),
            held: HeldMessages(database: database, seal: seal, ids: ids, time: time),
            group: configuration.text("kafkaGroup") ?? "berth",
            isPublishingOutput: configuration.text("busOutput") == "true",
            publisher: Hex.encode(randomness.bytes(8)),
            retention: .seconds(3600 * configuration.integer("busRetentionHours")),
            requests: RequestRetention(
                database: database,
                age: .seconds(3600 * configuration.integer("busRequestsKeptHours"))
            )
        )
    }

    private static func none() throws(BerthError) -> EmbeddedBus {
        throw BerthError(.internal, "there is no event bus")
    }

    private static func user(_ text: String) throws(BerthError) -> UserID {
        do {
            return try UserID(text)
        } catch {
            throw BerthError(.invalidValue, error.message, field: "busUser", remedy: error.remedy)
        }
    }

    private static func context(_ home: OrganizationID, _ topic: String) -> SealContext {
        SealContext(organizationID: home, purpose: "bus.message", subject: topic)
    }

    func close() async { await bus.close() }

    /// Forgets what is older than its retention: messages of the embedded bus, and which execution came of a request.
    func keepShort(_ time: any TimeSource) async throws {
        while true {
            try await embedded?.trim(before: time.now + (.zero - retention))
            try await requests.trim(at: time.now)
            try await time.wait(for: .seconds(600))
        }
    }
}
