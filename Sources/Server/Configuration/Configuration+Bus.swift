import Base
import EventBusKafka

extension Configuration {
    /// How the brokers are reached; nil without any.
    func kafka() throws(BerthError) -> KafkaConfiguration? {
        guard let brokers = text("kafkaBrokers") else { return nil }
        guard (text("kafkaUsername") == nil) == (text("kafkaPassword") == nil) else {
            throw BerthError(
                .missingField,
                "kafkaUsername and kafkaPassword go together",
                field: text("kafkaPassword") == nil ? "kafkaPassword" : "kafkaUsername",
                remedy: "set both, or neither"
            )
        }
        var kafka = KafkaConfiguration(brokers: brokers, clientID: text("kafkaClientId") ?? "berth")
        kafka.partitions = Int(integer("busPartitions"))
        kafka.compression = text("kafkaCompression").flatMap(KafkaConfiguration.Compression.init) ?? .gzip
        let mechanism = KafkaConfiguration.Mechanism(rawValue: (text("kafkaSaslMechanism") ?? "").uppercased())
        if let user = text("kafkaUsername"), let password = secret("kafkaPassword"), let mechanism {
            kafka.login = KafkaConfiguration.Login(mechanism: mechanism, user: user, password: password)
        }
        let tls = text("kafkaTls") ?? "auto"
        if tls == "true" || tls == "auto" && kafka.login != nil {
            kafka.tls = KafkaConfiguration.TLS(authorities: text("kafkaCaFile"))
        }
        return kafka
    }

    /// Whether what is asked for without an environment runs on a worker that stands alone.
    var usesStandingWorkers: Bool {
        switch text("executionMode") {
        case "local": false
        case "cloud": true
        default: text("workerToken") != nil
        }
    }

    /// Throws when personas are to run on workers that cannot come.
    func checkExecutionMode() throws(BerthError) {
        guard text("executionMode") == "cloud", text("workerToken") == nil else { return }
        throw BerthError(
            .missingField,
            "executionMode cloud needs workers that stand alone, and none may connect",
            field: "workerToken",
            remedy: "set workerToken, or executionMode hybrid"
        )
    }
}
