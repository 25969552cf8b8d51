import Base
import CRDKafka
import EventBus

/// Publishes batches, each of them confirmed by all replicas in sync before the next one begins.
///
/// Unchecked: `handle` is touched on `thread` alone.
final class KafkaProducer: @unchecked Sendable {
    private let thread: KafkaThread
    private let settings: [(String, String)]
    private var handle: KafkaHandle?

    init(_ configuration: KafkaConfiguration) throws {
        settings = configuration.producerSettings
        thread = try KafkaThread.start()
    }

    func publish(_ messages: [OutgoingMessage]) async throws {
        guard !messages.isEmpty else { return }
        try await thread.run { [self] cancellation in
            let handle = try open()
            defer { if handle.isFatal { self.handle = nil } }
            try send(messages, on: handle, cancellation)
        }
    }

    /// Runs `body` with the client, for questions about topics.
    func ask<Value: Sendable>(_ body: @escaping @Sendable (KafkaHandle) throws -> Value) async throws -> Value {
        try await thread.run { [self] _ in try body(try open()) }
    }

    func close() async { await thread.close { self.handle = nil } }

    private func open() throws -> KafkaHandle {
        if let handle { return handle }
        let made = try KafkaHandle(RD_KAFKA_PRODUCER, settings)
        handle = made
        return made
    }

    private func send(_ messages: [OutgoingMessage], on handle: KafkaHandle, _ cancellation: Cancellation) throws {
        handle.expect(messages.count)
        for (number, message) in messages.enumerated() {
            var code = Self.produce(message, number, handle)
            while code == RD_KAFKA_RESP_ERR__QUEUE_FULL, !cancellation.isCancelled {
                rd_kafka_poll(handle.pointer, 50)
                code = Self.produce(message, number, handle)
            }
            // What was not taken has no report of its own.
            if code != RD_KAFKA_RESP_ERR_NO_ERROR { handle.report(number, code) }
        }
        while handle.missing > 0 {
            if cancellation.isCancelled {
                rd_kafka_purge(handle.pointer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
            }
            rd_kafka_poll(handle.pointer, 50)
        }
        if cancellation.isCancelled { throw CancellationError() }
        for (message, report) in zip(messages, handle.reports) {
            if let code = report, code != RD_KAFKA_RESP_ERR_NO_ERROR { throw handle.error(code, message.topic) }
        }
    }

    private static func produce(_ message: OutgoingMessage, _ number: Int, _ handle: KafkaHandle)
        -> rd_kafka_resp_err_t
    {
        let headers = rd_kafka_headers_new(message.headers.count)
        for header in message.headers {
            header.value.withUnsafeBytes { value in
                _ = rd_kafka_header_add(headers, header.name, -1, value.baseAddress, value.count)
            }
        }
        let code = withBytes(message.key) { key in
            withBytes(message.value) { value in
                berth_kafka_produce(
                    handle.pointer,
                    message.topic,
                    key.baseAddress,
                    key.count,
                    value.baseAddress,
                    value.count,
                    headers,
                    number
                )
            }
        }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { rd_kafka_headers_destroy(headers) }
        return code
    }

    /// No bytes and empty bytes differ by their address.
    private static func withBytes<Value>(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        guard let bytes else { return body(UnsafeRawBufferPointer(start: nil, count: 0)) }
        if bytes.isEmpty {
            var byte: UInt8 = 0
            return withUnsafeBytes(of: &byte) { body(UnsafeRawBufferPointer(start: $0.baseAddress, count: 0)) }
        }
        return bytes.withUnsafeBytes(body)
    }
}
