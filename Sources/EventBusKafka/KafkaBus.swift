import Base
import CRDKafka
public import EventBus

/// Brokers that speak Kafka's protocol, through librdkafka. Nothing is asked of them before it is needed, so one is made
/// also while they are gone.
public final class KafkaBus: EventBus {
    private let configuration: KafkaConfiguration
    private let producer: KafkaProducer
    /// How long a question may take.
    private static let patience: Int32 = 5000

    /// - Throws: `invalidValue` for settings that librdkafka refuses.
    public init(_ configuration: KafkaConfiguration) throws {
        self.configuration = configuration
        _ = try KafkaHandle(RD_KAFKA_PRODUCER, configuration.producerSettings)
        producer = try KafkaProducer(configuration)
    }

    public var kind: String { "kafka" }

    public func cluster() async throws -> String {
        try await producer.ask { handle in
            guard let id = rd_kafka_clusterid(handle.pointer, Self.patience) else {
                throw handle.error(RD_KAFKA_RESP_ERR__TRANSPORT, "asking the brokers who they are")
            }
            defer { rd_kafka_mem_free(handle.pointer, id) }
            return String(cString: id)
        }
    }

    public func ensure(_ topics: [String]) async throws {
        let partitions = configuration.partitions
        try await producer.ask { handle in
            let known = Set(try Self.metadata(handle).map(\.name))
            let missing = topics.filter { !known.contains($0) }
            if !missing.isEmpty { try Self.create(missing, partitions: partitions, handle) }
        }
    }

    public func publish(_ messages: [OutgoingMessage]) async throws {
        do {
            try await producer.publish(messages)
        } catch let error as BerthError where error.code == .unavailable {
            // A message for a topic that is not there waits until its time is over; brokers that answer tell it.
            let known = try? await producer.ask { Set(try Self.metadata($0, patience: 2000).map(\.name)) }
            guard let known, let missing = messages.first(where: { !known.contains($0.topic) }) else { throw error }
            throw BerthError(
                .notFound,
                "the brokers have no topic \(missing.topic)",
                field: "topic",
                remedy: "make it there, or let Berth make it"
            )
        }
    }

    public func consumer(group: String, of topics: TopicSelection) async throws -> any BusConsumer {
        let consumer = try KafkaConsumer(configuration, group: group)
        do {
            try await consumer.subscribe(topics)
        } catch {
            await consumer.close()
            throw error
        }
        return consumer
    }

    public func topics(where isWanted: @escaping @Sendable (String) -> Bool) async throws -> [TopicStatus] {
        try await producer.ask { handle in
            try Self.metadata(handle).filter { isWanted($0.name) }.map { topic in
                TopicStatus(
                    name: topic.name,
                    partitions: try topic.partitions.map { try Self.bounds(topic.name, $0, handle) }
                )
            }
        }
    }

    public func positions(of group: String?, in topics: [String]) async throws -> [GroupPosition] {
        guard let group else { return [] }
        let status = try await self.topics { topics.contains($0) }
        // Asked by a client that names the group and never joins it.
        let asking = try KafkaHandle(RD_KAFKA_CONSUMER, configuration.consumerSettings(group: group))
        return try await producer.ask { _ in
            let list = PartitionList()
            for topic in status {
                for partition in topic.partitions {
                    list.add(topic.name, partition.partition, offset: Int64(RD_KAFKA_OFFSET_INVALID))
                }
            }
            let code = rd_kafka_committed(asking.pointer, list.pointer, Self.patience)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw asking.error(code, "group \(group)") }
            return list.offsets().compactMap { topic, partition, offset in
                guard
                    let bounds = status.first(where: { $0.name == topic })?.partitions
                        .first(where: { $0.partition == partition })
                else { return nil }
                return GroupPosition(
                    group: group,
                    topic: topic,
                    partition: partition,
                    committed: offset < 0 ? nil : offset,
                    first: bounds.first,
                    end: bounds.end
                )
            }
        }
    }

    public func read(_ topic: String, from positions: [Int32: Int64], limit: Int, wait: Duration) async throws
        -> [BusMessage]
    {
        let consumer = try KafkaConsumer(configuration, group: "berth-reader")
        do {
            try await consumer.assign(topic, from: positions)
            let messages = try await consumer.poll(limit: limit, wait: wait)
            await consumer.close()
            return messages
        } catch {
            await consumer.close()
            throw error
        }
    }

    public func close() async { await producer.close() }

    private static func bounds(_ topic: String, _ partition: Int32, _ handle: KafkaHandle) throws -> PartitionStatus {
        var (first, end): (Int64, Int64) = (0, 0)
        let code = rd_kafka_query_watermark_offsets(handle.pointer, topic, partition, &first, &end, patience)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw handle.error(code, topic) }
        return PartitionStatus(partition: partition, first: first, end: end)
    }

    /// Every topic by name, without the brokers' own.
    private static func metadata(_ handle: KafkaHandle, patience: Int32 = KafkaBus.patience) throws
        -> [(name: String, partitions: [Int32])]
    {
        var found: UnsafePointer<rd_kafka_metadata>?
        let code = rd_kafka_metadata(handle.pointer, 1, nil, &found, patience)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = found?.pointee else {
            rd_kafka_poll(handle.pointer, 0)
            throw handle.error(code, "asking the brokers for their topics")
        }
        defer { rd_kafka_metadata_destroy(found) }
        let topics = (0..<Int(metadata.topic_cnt)).map { index in
            let topic = metadata.topics[index]
            let partitions = (0..<Int(topic.partition_cnt)).map { topic.partitions[$0].id }
            return (name: String(cString: topic.topic), partitions: partitions.sorted())
        }
        return topics.filter { !$0.name.hasPrefix("__") }.sorted { $0.name < $1.name }
    }

    private static func create(_ topics: [String], partitions: Int, _ handle: KafkaHandle) throws {
        var text = [CChar](repeating: 0, count: 512)
        var made: [OpaquePointer?] = topics.map {
            rd_kafka_NewTopic_new($0, Int32(partitions), -1, &text, text.count)
        }
        let queue = rd_kafka_queue_new(handle.pointer)
        let options = rd_kafka_AdminOptions_new(handle.pointer, RD_KAFKA_ADMIN_OP_CREATETOPICS)
        defer {
            for topic in made { rd_kafka_NewTopic_destroy(topic) }
            rd_kafka_AdminOptions_destroy(options)
            rd_kafka_queue_destroy(queue)
        }
        rd_kafka_AdminOptions_set_request_timeout(options, patience, &text, text.count)
        rd_kafka_CreateTopics(handle.pointer, &made, made.count, options, queue)
        guard let event = rd_kafka_queue_poll(queue, patience + 1000) else {
            throw handle.error(RD_KAFKA_RESP_ERR__TIMED_OUT, "making topics")
        }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw handle.error(code, "making topics") }
        guard let result = rd_kafka_event_CreateTopics_result(event) else { return }
        var count = 0
        let results = rd_kafka_CreateTopics_result_topics(result, &count)
        for index in 0..<count {
            let code = rd_kafka_topic_result_error(results?[index])
            if code != RD_KAFKA_RESP_ERR_NO_ERROR, code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS {
                throw handle.error(code, topics[min(index, topics.count - 1)])
            }
        }
    }
}
