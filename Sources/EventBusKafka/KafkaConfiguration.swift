public import Base

/// How the brokers are reached.
public struct KafkaConfiguration: Sendable {
    /// `host:port`, several with commas.
    public var brokers: String
    public var login: Login?
    public var tls: TLS?
    /// What the broker's own log calls this client.
    public var clientID: String
    /// For topics that are made here.
    public var partitions: Int
    /// How long a message may wait for a broker before its publishing fails, and is tried again.
    public var deliveryTimeout: Duration
    public var compression: Compression

    /// Of what is published. Every client reads gzip; many need a further library for the others.
    public enum Compression: String, Sendable, CaseIterable {
        case none, gzip, lz4, snappy, zstd
    }

    public struct Login: Sendable {
        public var mechanism: Mechanism
        public var user: String
        public var password: Secret<String>

        public init(mechanism: Mechanism, user: String, password: Secret<String>) {
            self.mechanism = mechanism
            self.user = user
            self.password = password
        }
    }

    /// What librdkafka itself speaks; Kerberos would need shared libraries.
    public enum Mechanism: String, Sendable, CaseIterable {
        case plain = "PLAIN"
        case scramSHA256 = "SCRAM-SHA-256"
        case scramSHA512 = "SCRAM-SHA-512"
    }

    public struct TLS: Sendable {
        /// PEM file of the authorities to trust; nil: the system's.
        public var authorities: String?

        public init(authorities: String?) { self.authorities = authorities }
    }

    public init(
        brokers: String,
        login: Login? = nil,
        tls: TLS? = nil,
        clientID: String = "berth",
        partitions: Int = 6,
        deliveryTimeout: Duration = .seconds(10),
        compression: Compression = .gzip
    ) {
        self.brokers = brokers
        self.login = login
        self.tls = tls
        self.clientID = clientID
        self.partitions = partitions
        self.deliveryTimeout = deliveryTimeout
        self.compression = compression
    }

    /// librdkafka's settings, by its own names.
    var settings: [(String, String)] {
        let security = (login == nil ? "" : "sasl_") + (tls == nil ? "plaintext" : "ssl")
        var settings = [
            ("bootstrap.servers", brokers), ("client.id", clientID), ("security.protocol", security),
            ("reconnect.backoff.ms", "100"), ("reconnect.backoff.max.ms", "2000"),
            ("topic.metadata.refresh.interval.ms", "5000"), ("socket.keepalive.enable", "true"),
            ("socket.nagle.disable", "true"), ("log.connection.close", "false"),
        ]
        if let login {
            settings += [
                ("sasl.mechanisms", login.mechanism.rawValue), ("sasl.username", login.user),
                ("sasl.password", login.password.reveal()),
            ]
        }
        if let authorities = tls?.authorities { settings.append(("ssl.ca.location", authorities)) }
        return settings
    }

    var producerSettings: [(String, String)] {
        settings + [
            ("enable.idempotence", "true"), ("acks", "all"), ("linger.ms", "5"),
            ("compression.type", compression.rawValue), ("compression.level", compression == .gzip ? "1" : "-1"),
            // Messages with one key go where Kafka's own Java client puts them.
            ("partitioner", "murmur2_random"), ("message.timeout.ms", "\(deliveryTimeout.wholeMilliseconds)"),
            ("queue.buffering.max.messages", "100000"),
        ]
    }

    func consumerSettings(group: String) -> [(String, String)] {
        settings + [
            // What a server that died had to read passes on within this time.
            ("session.timeout.ms", "10000"), ("group.id", group), ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("allow.auto.create.topics", "true"), ("fetch.wait.max.ms", "50"), ("fetch.error.backoff.ms", "100"),
            // A message larger than this still comes, alone.
            ("queued.max.messages.kbytes", "16384"), ("isolation.level", "read_committed"),
        ]
    }
}
