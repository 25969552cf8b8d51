/// SeaweedFS's Kafka gateway: a broker not written here, by people who did not write librdkafka. It ends with this
/// object, and has a loopback address and namespaces of its own: any number of them may run.
public final class KafkaGateway: Sendable {
    /// `host:port`.
    public let address: String
    private let process: ChildProcess

    /// Returns when it answers; its start may take several tries.
    public init() async throws {
        process = try ChildProcess(["python3", ScriptedPeer.path("kafka_gateway.py"), BerthCache.directory])
        let line = try await process.line(containing: "gateway ", within: .seconds(180))
        address = String(line.dropFirst("gateway ".count))
    }

    /// Kills it at once, with all that it holds; to its clients it hangs up.
    public func kill() async throws { try await command("kill") }

    /// It comes back at the same address, with nothing in it.
    public func start() async throws { try await command("start") }

    private func command(_ word: String) async throws {
        process.send(word + "\n")
        _ = try await process.line(containing: "done \(word)", within: .seconds(180))
    }
}
