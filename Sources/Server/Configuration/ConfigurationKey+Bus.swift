extension ConfigurationKey {
    /// The event bus: embedded, or Kafka.
    static let bus: [ConfigurationKey] = [
        .init(
            "kafkaBrokers",
            .text,
            ["BERTH_KAFKA_BROKERS", "KAFKA_BROKERS"],
            "host:port of Kafka's brokers, several with commas; unset: the embedded bus"
        ),
        .init("kafkaUsername", .text, ["BERTH_KAFKA_USERNAME", "KAFKA_USERNAME"], "login at the brokers (SASL)"),
        .init(
            "kafkaPassword",
            .text,
            ["BERTH_KAFKA_PASSWORD", "KAFKA_PASSWORD"],
            isSecret: true,
            "password of kafkaUsername"
        ),
        .init(
            "kafkaSaslMechanism",
            .choice(["plain", "scram-sha-256", "scram-sha-512", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]),
            ["BERTH_KAFKA_SASL_MECHANISM", "KAFKA_SASL_MECHANISM"],
            default: "scram-sha-256",
            "how kafkaUsername logs in"
        ),
        .init(
            "kafkaTls",
            .choice(["auto", "true", "false"]),
            ["BERTH_KAFKA_TLS", "KAFKA_SSL"],
            default: "auto",
            "whether the brokers speak TLS; auto: where there is a login"
        ),
        .init(
            "kafkaCaFile",
            .path,
            ["BERTH_KAFKA_CA_FILE", "KAFKA_CA_FILE"],
            "PEM file of the authorities to trust for the brokers; default: the system's"
        ),
        .init(
            "kafkaClientId",
            .text,
            ["BERTH_KAFKA_CLIENT_ID", "KAFKA_CLIENT_ID"],
            default: "berth",
            "what the brokers call this client"
        ),
        .init(
            "kafkaCompression",
            .choice(["gzip", "none", "lz4", "snappy", "zstd"]),
            ["BERTH_KAFKA_COMPRESSION"],
            default: "gzip",
            "how what is published is compressed; every client reads gzip, many need a library for the others"
        ),
        .init(
            "kafkaGroup",
            .text,
            ["BERTH_KAFKA_GROUP", "KAFKA_GROUP_ID"],
            default: "berth",
            "consumer group that reads the exec topics"
        ),
        .init(
            "busPartitions",
            .integer(1...1000),
            ["BERTH_BUS_PARTITIONS"],
            default: "6",
            "partitions of topics that are made here"
        ),
        .init(
            "busTenantPrefix",
            .boolean,
            ["BERTH_BUS_TENANT_PREFIX"],
            default: "false",
            "whether the server's own organization, too, publishes under its tenant_ID. prefix"
        ),
        .init(
            "busUser",
            .text,
            ["BERTH_BUS_USER"],
            "user who owns what the exec topics ask for, where a member; default: the organization's first owner"
        ),
        .init(
            "busOutput",
            .boolean,
            ["BERTH_BUS_OUTPUT"],
            default: "true",
            "whether output goes to the brokers"
        ),
        .init(
            "busRetentionHours",
            .integer(1...87_600),
            ["BERTH_BUS_RETENTION_HOURS"],
            default: "168",
            unit: "h",
            "how long the embedded bus keeps messages"
        ),
    ]
}
