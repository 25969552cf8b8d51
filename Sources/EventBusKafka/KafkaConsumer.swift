import Base
import CRDKafka
import EventBus

/// A member of one of the brokers' consumer groups.
///
/// Unchecked: `handle` is touched on `thread` alone.
final class KafkaConsumer: BusConsumer, @unchecked Sendable {
    /// Bytes after which a poll returns what it has.
    private static let enough = 8 << 20
    private let thread: KafkaThread
    private var handle: KafkaHandle?

    init(_ configuration: KafkaConfiguration, group: String) throws {
        thread = try KafkaThread.start()
        handle = try KafkaHandle(RD_KAFKA_CONSUMER, configuration.consumerSettings(group: group))
    }

    func subscribe(_ topics: TopicSelection) async throws {
        try await onThread { handle, _ in
            // Everything that can be polled comes through the one queue.
            rd_kafka_poll_set_consumer(handle.pointer)
            let list = PartitionList()
            for name in topics.names + topics.tenantsOf.map(\.tenantPattern) { list.add(name) }
            let code = rd_kafka_subscribe(handle.pointer, list.pointer)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw handle.error(code, "subscribing") }
        }
    }

    /// Reads partitions outside of any group.
    func assign(_ topic: String, from positions: [Int32: Int64]) async throws {
        try await onThread { handle, _ in
            rd_kafka_poll_set_consumer(handle.pointer)
            let list = PartitionList()
            for (partition, offset) in positions { list.add(topic, partition, offset: offset) }
            let code = rd_kafka_assign(handle.pointer, list.pointer)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw handle.error(code, topic) }
        }
    }

    func poll(limit: Int, wait: Duration) async throws -> [BusMessage] {
        try await onThread { handle, cancellation in
            var messages: [BusMessage] = []
            var bytes = 0
            var left = max(0, wait.wholeMilliseconds)
            while messages.count < limit, bytes < Self.enough, !cancellation.isCancelled {
                // In slices, so that a cancelled task is not held up.
                let slice = messages.isEmpty ? min(left, 100) : 0
                guard let message = rd_kafka_consumer_poll(handle.pointer, Int32(slice)) else {
                    left -= slice
                    if left <= 0 || !messages.isEmpty { break }
                    continue
                }
                defer { rd_kafka_message_destroy(message) }
                if let taken = try Self.take(message, handle) {
                    bytes += (taken.value?.count ?? 0) + (taken.key?.count ?? 0)
                    messages.append(taken)
                }
            }
            return messages
        }
    }

    func commit(_ message: BusMessage) async throws {
        try await onThread { handle, _ in
            let list = PartitionList()
            list.add(message.topic, message.partition, offset: message.offset + 1)
            let code = rd_kafka_commit(handle.pointer, list.pointer, 0)
            switch code {
            case RD_KAFKA_RESP_ERR_NO_ERROR: return
            case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
                RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST,
                RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
                throw BerthError(.stale, "\(message.topic)/\(message.partition) is another member's by now")
            default: throw handle.error(code, message.topic)
            }
        }
    }

    func close() async {
        await thread.close {
            if let handle = self.handle { rd_kafka_consumer_close(handle.pointer) }
            self.handle = nil
        }
    }

    private func onThread<Value: Sendable>(
        _ body: @escaping @Sendable (KafkaHandle, Cancellation) throws -> Value
    ) async throws -> Value {
        try await thread.run { [self] cancellation in
            guard let handle else { throw BerthError(.unavailable, "the consumer is closed") }
            return try body(handle, cancellation)
        }
    }

    /// nil for what is no message: news of the group, or of a topic that is yet to be made.
    private static func take(_ message: UnsafeMutablePointer<rd_kafka_message_t>, _ handle: KafkaHandle) throws
        -> BusMessage?
    {
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR: return copy(message)
        case RD_KAFKA_RESP_ERR__PARTITION_EOF, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
            return nil
        case let code: throw handle.error(code, "reading")
        }
    }

    private static func copy(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> BusMessage {
        let fields = message.pointee
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let at = rd_kafka_message_timestamp(message, &kind)
        return BusMessage(
            topic: rd_kafka_topic_name(fields.rkt).map { String(cString: $0) } ?? "",
            partition: fields.partition,
            offset: fields.offset,
            key: bytes(fields.key, fields.key_len),
            value: bytes(fields.payload, fields.len),
            headers: headers(message),
            at: kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || at < 0 ? nil : Timestamp(milliseconds: at)
        )
    }

    private static func headers(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> [BusHeader] {
        var list: OpaquePointer?
        guard rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR, let list else { return [] }
        var headers: [BusHeader] = []
        var (name, value, size): (UnsafePointer<CChar>?, UnsafeRawPointer?, Int) = (nil, nil, 0)
        while rd_kafka_header_get_all(list, headers.count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR {
            headers.append(BusHeader(name.map { String(cString: $0) } ?? "", bytes(value, size) ?? []))
        }
        return headers
    }

    private static func bytes(_ start: UnsafeRawPointer?, _ count: Int) -> [UInt8]? {
        start.map { Array(UnsafeRawBufferPointer(start: $0, count: count)) }
    }
}

/// librdkafka's list of topics and partitions.
final class PartitionList {
    let pointer = rd_kafka_topic_partition_list_new(4)

    func add(_ topic: String) { rd_kafka_topic_partition_list_add(pointer, topic, RD_KAFKA_PARTITION_UA) }

    func add(_ topic: String, _ partition: Int32, offset: Int64) {
        rd_kafka_topic_partition_list_add(pointer, topic, partition)?.pointee.offset = offset
    }

    /// By partition, the offsets of one topic.
    func offsets() -> [(topic: String, partition: Int32, offset: Int64)] {
        guard let list = pointer?.pointee, let elements = list.elems else { return [] }
        return (0..<Int(list.cnt)).map { index in
            let element = elements[index]
            return (String(cString: element.topic), element.partition, element.offset)
        }
    }

    deinit { rd_kafka_topic_partition_list_destroy(pointer) }
}
