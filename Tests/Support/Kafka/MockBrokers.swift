import Synchronization

/// librdkafka's mock cluster in a process of its own; it ends with this object. It knows idempotence, transactions,
/// groups and headers, and fails on command. It cannot make topics on request.
public final class MockBrokers: Sendable {
    /// `host:port`, several with commas.
    public let address: String
    private let process: ChildProcess
    private let commands = Mutex(0)

    /// - Parameter topics: `name:partitions`.
    public init(_ brokers: Int = 1, topics: [String] = []) async throws {
        process = try ChildProcess([BuiltProduct.path("broker-fixture"), "\(brokers)"] + topics)
        let line = try await process.line(containing: "brokers ")
        address = String(line.dropFirst("brokers ".count))
    }

    /// `down 1`, `up 1`, `topic NAME PARTITIONS`, `fail API CODE TIMES`.
    public func command(_ line: String) async throws {
        let number = commands.withLock { count in
            count += 1
            return count
        }
        process.send(line + "\n")
        let answer = try await process.line(containing: "\(number): ")
        guard answer == "\(number): ok" else {
            throw TimedOut(what: "'\(line)', which said \(answer)", process: process)
        }
    }

    /// A stopped cluster answers nothing and drops nothing.
    public func freeze() { process.signal(19) }
    public func thaw() { process.signal(18) }
}
