import Base
import CRDKafka
import Glibc

/// One of librdkafka's clients, and what it last complained of.
///
/// Unchecked: used on its ``KafkaThread`` alone; librdkafka's callbacks come from its poll calls, on that same thread.
final class KafkaHandle: @unchecked Sendable {
    let pointer: OpaquePointer
    private(set) var complaint: String?
    /// Delivery reports of the batch under way: by number, what became of it.
    private(set) var reports: [rd_kafka_resp_err_t?] = []
    private(set) var missing = 0

    /// - Throws: `invalidValue` with librdkafka's own words about a setting.
    init(_ kind: rd_kafka_type_t, _ settings: [(String, String)]) throws {
        guard let configuration = rd_kafka_conf_new() else {
            throw BerthError(.internal, "librdkafka has no memory")
        }
        var text = [CChar](repeating: 0, count: 512)
        for (name, value) in settings
        where rd_kafka_conf_set(configuration, name, value, &text, text.count) != RD_KAFKA_CONF_OK {
            rd_kafka_conf_destroy(configuration)
            throw BerthError(.invalidValue, "the brokers' settings do not fit: \(Self.string(text))", field: name)
        }
        let context = Context()
        let opaque = Unmanaged.passRetained(context)
        rd_kafka_conf_set_opaque(configuration, opaque.toOpaque())
        rd_kafka_conf_set_log_cb(configuration, nil)
        rd_kafka_conf_set_error_cb(configuration) { _, code, reason, opaque in
            let reason = reason.map { String(cString: $0) } ?? "error \(code)"
            KafkaHandle.of(opaque)?.complaint = reason
        }
        if kind == RD_KAFKA_PRODUCER {
            rd_kafka_conf_set_dr_msg_cb(configuration) { _, message, opaque in
                if let message { KafkaHandle.of(opaque)?.delivered(message) }
            }
        }
        guard let pointer = rd_kafka_new(kind, configuration, &text, text.count) else {
            rd_kafka_conf_destroy(configuration)
            opaque.release()
            throw BerthError(.invalidValue, "the brokers' settings do not fit: \(Self.string(text))", field: "brokers")
        }
        self.pointer = pointer
        self.context = opaque
        context.handle = self
    }

    /// What librdkafka hands to callbacks; it outlives every one of them.
    private final class Context {
        weak var handle: KafkaHandle?
    }

    private let context: Unmanaged<Context>

    private static func of(_ opaque: UnsafeMutableRawPointer?) -> KafkaHandle? {
        opaque.flatMap { Unmanaged<Context>.fromOpaque($0).takeUnretainedValue().handle }
    }

    deinit {
        rd_kafka_destroy(pointer)
        context.release()
    }

    /// Begins a batch of `count` messages.
    func expect(_ count: Int) {
        reports = Array(repeating: nil, count: count)
        missing = count
        complaint = nil
    }

    func report(_ number: Int, _ code: rd_kafka_resp_err_t) {
        guard reports.indices.contains(number), reports[number] == nil else { return }
        reports[number] = code
        missing -= 1
    }

    private func delivered(_ message: UnsafePointer<rd_kafka_message_t>) {
        report(Int(berth_kafka_number(message)), message.pointee.err)
    }

    /// Whether the client is beyond repair, as an idempotent producer is after a gap.
    var isFatal: Bool {
        var text = [CChar](repeating: 0, count: 512)
        return rd_kafka_fatal_error(pointer, &text, text.count) != RD_KAFKA_RESP_ERR_NO_ERROR
    }

    func error(_ code: rd_kafka_resp_err_t, _ what: String) -> BerthError {
        let reason = rd_kafka_err2str(code).map { String(cString: $0) } ?? "error \(code.rawValue)"
        let detail = complaint.map { "\(reason); \($0)" } ?? reason
        switch code {
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
            return BerthError(.notFound, "\(what): the brokers have no such topic", detail: detail)
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
            return BerthError(.tooLarge, "\(what): the brokers do not take a message of this size", detail: detail)
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
            return BerthError(.forbidden, "\(what): the brokers do not let this client in", detail: detail)
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, RD_KAFKA_RESP_ERR_POLICY_VIOLATION, RD_KAFKA_RESP_ERR_INVALID_RECORD:
            return BerthError(.invalidValue, "\(what): the brokers refuse it", detail: detail)
        default:
            return BerthError(.unavailable, "\(what): \(detail)", field: "kafkaBrokers", isRetryable: true)
        }
    }

    static func string(_ text: [CChar]) -> String {
        String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
