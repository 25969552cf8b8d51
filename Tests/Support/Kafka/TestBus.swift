public import Base
public import Database
public import EventBus

extension EmbeddedBus {
    public static func under(test database: any SQLDatabase, time: any TimeSource = SystemTime()) -> EmbeddedBus {
        // No cipher; it shows what the bus hands over to be closed.
        let seal = ValueSeal { value, topic in
            Array("closed \(topic) ".utf8) + value.reversed()
        } open: { value, topic in
            let mark = Array("closed \(topic) ".utf8)
            guard value.starts(with: mark) else { throw BerthError(.sealBroken, "it was not closed for \(topic)") }
            return value.dropFirst(mark.count).reversed()
        }
        return EmbeddedBus(
            database: database,
            time: time,
            randomness: SystemRandomness(),
            seal: seal,
            partitions: 3
        )
    }
}

extension OutgoingMessage {
    public init(_ topic: String, _ key: String, _ value: String) {
        self.init(topic: topic, key: Array(key.utf8), value: Array(value.utf8))
    }
}

extension BusMessage {
    public var text: String { String(decoding: value ?? [], as: UTF8.self) }
}
