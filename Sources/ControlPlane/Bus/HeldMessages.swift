public import Base
public import Database
public import EventBus

/// Messages that wait in the database for a bus that may be gone.
public struct HeldMessages: Sendable {
    private let database: any SQLDatabase
    private let seal: ValueSeal
    private let ids: IDSource
    private let time: any TimeSource
    private static let batch = 16
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

    /// Those that have any.
    func topics() async throws -> [String] {
        try await database.read { try $0.rows(BusStore.heldTopics).map { try $0.text("topic") } }
    }

    /// Hands a topic's oldest ones to `publish`, and forgets them if it took them. Returns whether there may be more to
    /// take.
    func drain(_ topic: String, _ publish: ([OutgoingMessage]) async throws -> Bool) async throws -> Bool {
        let rows = try await database.read { try $0.rows(BusStore.held, topic, Self.batch) }
        let messages = try rows.map { row in
            OutgoingMessage(
                topic: topic,
                key: try row.optionalBlob("message_key"),
                value: try seal.opened(try row.optionalBlob("value"), of: topic),
                headers: try BusHeader.list(try row.optionalText("headers"))
            )
        }
        guard try await publish(messages) else { return false }
        let ids = try rows.map { try $0.text("id") }
        try await database.write { connection in
            for id in ids { try connection.run(BusStore.release, id) }
        }
        return ids.count == Self.batch
    }
}
