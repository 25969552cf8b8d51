public import Base
public import Database
public import EventBus

/// Messages that wait in the database for a bus that may be gone.
public struct HeldMessages: Sendable {
    private let database: any SQLDatabase
    private let seal: ValueSeal
    private let ids: IDSource
    private let time: any TimeSource
    /// Rings when one is added.
    let bell = Wakeup()

    public init(database: any SQLDatabase, seal: ValueSeal, ids: IDSource, time: any TimeSource) {
        self.database = database
        self.seal = seal
        self.ids = ids
        self.time = time
    }

    func add(_ message: OutgoingMessage) async throws {
        let id: EventID = ids.make()
        let (value, now) = (try seal.closed(message.value, for: message.topic), time.now)
        try await database.write { connection in
            try connection.run(
                BusStore.hold,
                id,
                message.topic,
                message.key,
                value,
                BusHeader.text(message.headers),
                now
            )
        }
        bell.ring()
    }

    /// Publishes the oldest ones; returns how many, and how many wait after that.
    func drain(to bus: any EventBus) async throws -> (published: Int, waiting: Int64) {
        let rows = try await database.read { try $0.rows(BusStore.held, 16) }
        guard !rows.isEmpty else { return (0, 0) }
        try await bus.publish(
            try rows.map { row in
                let topic = try row.text("topic")
                return OutgoingMessage(
                    topic: topic,
                    key: try row.optionalBlob("message_key"),
                    value: try seal.opened(try row.optionalBlob("value"), of: topic),
                    headers: try BusHeader.list(try row.optionalText("headers"))
                )
            }
        )
        let ids = try rows.map { try $0.text("id") }
        let waiting = try await database.write { connection in
            for id in ids { try connection.run(BusStore.release, id) }
            return try connection.first(BusStore.heldCount)?.integer("count") ?? 0
        }
        return (ids.count, waiting)
    }
}
