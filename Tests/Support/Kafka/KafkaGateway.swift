import Synchronization

/// SeaweedFS's Kafka gateway: a broker not written here, by people who did not write librdkafka. It needs seconds to
/// start and may take several tries, so a run of tests has one.
public final class KafkaGateway: Sendable {
    /// `host:port`. It can only have the port 9093, so it has a loopback address of its own.
    public let address: String
    private let process: ChildProcess

    private init(_ process: ChildProcess) async throws {
        self.process = process
        let line = try await process.line(containing: "gateway ", within: .seconds(180))
        address = String(line.dropFirst("gateway ".count))
    }

    /// The run's own, started by whoever asks first. It ends with this process.
    public static func shared() async throws -> KafkaGateway { try await starting.value }

    /// One that a test may kill.
    public static func own() async throws -> KafkaGateway {
        try await KafkaGateway(ChildProcess(["python3", ScriptedPeer.path("kafka_gateway.py"), BerthCache.directory]))
    }

    private static let starting = SharedStart()

    /// `kill`: the gateway dies at once. `start`: it comes back, on the same address and data.
    public func command(_ word: String) async throws {
        process.send(word + "\n")
        _ = try await process.line(containing: "done \(word)", within: .seconds(180))
    }
}

/// The one start that all who ask wait for.
private actor SharedStart {
    private var task: Task<KafkaGateway, any Error>?

    var value: KafkaGateway {
        get async throws {
            let running = task ?? Task { try await KafkaGateway.own() }
            task = running
            return try await running.value
        }
    }
}
