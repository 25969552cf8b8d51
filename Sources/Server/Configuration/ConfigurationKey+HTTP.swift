extension ConfigurationKey {
    /// Limits and deadlines of the listeners.
    static let http: [ConfigurationKey] = [
        .init(
            "maxConnections",
            .integer(8...1_000_000),
            ["BERTH_MAX_CONNECTIONS"],
            default: "4096",
            "open connections"
        ),
        .init(
            "maxConnectionsPerClient",
            .integer(1...1_000_000),
            ["BERTH_MAX_CONNECTIONS_PER_CLIENT"],
            default: "512",
            "of them of one client: an IPv4 address or an IPv6 /64; behind a trusted proxy, requests under way"
        ),
        .init(
            "maxConnectionsFromLoopback",
            .integer(1...1_000_000),
            ["BERTH_MAX_CONNECTIONS_FROM_LOOPBACK"],
            default: "1000000",
            "of them of this machine itself over TCP"
        ),
        .init(
            "maxHeaderBytes",
            .integer(2048...1 << 20),
            ["BERTH_MAX_HEADER_BYTES"],
            default: "16384",
            unit: "bytes",
            "largest head of a request"
        ),
        .init("maxHeaders", .integer(16...10_000), ["BERTH_MAX_HEADERS"], default: "100", "header fields of a request"),
        .init(
            "headTimeoutMs",
            .integer(100...600_000),
            ["BERTH_HEAD_TIMEOUT_MS"],
            default: "10000",
            unit: "ms",
            "from the first byte of a request's head to its end"
        ),
        .init(
            "bodyTimeoutMs",
            .integer(100...3_600_000),
            ["BERTH_BODY_TIMEOUT_MS"],
            default: "30000",
            unit: "ms",
            "in which minProgressBytes of a request's body must come, or its end"
        ),
        .init(
            "writeTimeoutMs",
            .integer(100...3_600_000),
            ["BERTH_WRITE_TIMEOUT_MS"],
            default: "60000",
            unit: "ms",
            "in which a client must take minProgressBytes of what waits for it"
        ),
        .init(
            "idleTimeoutMs",
            .integer(100...86_400_000),
            ["BERTH_IDLE_TIMEOUT_MS"],
            default: "75000",
            unit: "ms",
            "between two requests of one connection"
        ),
        .init(
            "minProgressBytes",
            .integer(1...1 << 20),
            ["BERTH_MIN_PROGRESS_BYTES"],
            default: "4096",
            unit: "bytes",
            "what counts as progress in bodyTimeoutMs and writeTimeoutMs"
        ),
        .init(
            "compress",
            .boolean,
            ["BERTH_COMPRESS"],
            default: "true",
            "whether texts are compressed for clients that accept gzip"
        ),
        .init(
            "trustedProxies",
            .text,
            ["BERTH_TRUSTED_PROXIES"],
            "addresses that may speak for others, with commas: 10.0.0.0/8, 2001:db8::/32, unix; unset: none"
        ),
        .init(
            "proxyHeader",
            .choice(["x-forwarded-for", "forwarded"]),
            ["BERTH_PROXY_HEADER"],
            default: "x-forwarded-for",
            "the field in which trusted proxies name the client; they must not pass a client's own on"
        ),
    ]
}
