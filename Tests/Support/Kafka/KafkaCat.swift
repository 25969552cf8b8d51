import Base
import FoundationEssentials

/// Kafka clients that were not written here.
public enum KafkaClients {
    /// `kcat` publishes one message.
    public static func produce(
        _ value: String,
        to topic: String,
        key: String? = nil,
        headers: [String] = [],
        at brokers: String
    ) async throws {
        // The message is a file's content, so that it may have any bytes and lines.
        let directory = try TemporaryDirectory("kcat")
        let file = try directory.write(value, to: "message")
        try await produce(file: file, to: topic, key: key, headers: headers, at: brokers)
        withExtendedLifetime(directory) {}
    }

    /// - Parameter partition: nil: the key's.
    public static func produce(
        file: String,
        to topic: String,
        partition: Int? = nil,
        key: String? = nil,
        headers: [String] = [],
        at brokers: String
    ) async throws {
        let result = try await run(
            ["kcat", "-P", "-b", brokers, "-t", topic, "-X", "message.max.bytes=80000000", "-X", "acks=all"]
                + (partition.map { ["-p", "\($0)"] } ?? []) + (key.map { ["-k", $0] } ?? [])
                + headers.flatMap { ["-H", $0] } + [file],
            environment: ChildProcess.plainEnvironment,
            within: .seconds(60)
        )
        guard result.status == 0 else { throw UnexpectedStatus(arguments: ["kcat"], result: result) }
    }

    /// A program of `Tests/Support/Peers` with one of the Python libraries in reach: `aiokafka`, `kafka-python`.
    public static func python(_ library: String, _ program: String, _ arguments: [String]) throws -> ChildProcess {
        try ChildProcess(
            ["python3", ScriptedPeer.path(program)] + arguments,
            environment: ChildProcess.plainEnvironment.merging([
                "PYTHONPATH": "\(BerthCache.directory)/kafka/\(library)"
            ]) { $1 }
        )
    }

    /// aiokafka reads topics from their beginning; each message is a line of JSON with `topic`, `partition`, `offset`,
    /// `key`, `value` and `headers`.
    public static func reader(of topics: [String], at brokers: String) throws -> ChildProcess {
        try python("aiokafka", "aiokafka_reader.py", [brokers] + topics)
    }
}
