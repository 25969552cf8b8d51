import Base
import FoundationEssentials
import TestSupport
import Testing

/// How the tests look at a bus from outside.
enum BusReading {
    /// As the mock cluster needs them made.
    static let topics = ["exec", "output", "lifecycle", "events", "dlq"].map { "persona.\($0).v1:1" }

    /// The JSON in the value of a message that is printed as JSON.
    static func value(of line: String) throws -> JSONValue {
        let message = try JSONValue(parsing: line.utf8)
        return try JSONValue(parsing: (message["value"]?.string ?? "").utf8)
    }

    static func untilMetric(_ line: String, _ berth: Installation) async throws {
        let note = try String(contentsOfFile: berth.data + "/server.json", encoding: .utf8)
        let url = try #require(try JSONValue(parsing: note.utf8)["url"]?.string)
        try await until(line) { try await check(["curl", "-s", url + "/metrics"]).contains("\n\(line)\n") }
    }

    private static func until(_ what: String, _ isSo: () async throws -> Bool) async throws {
        let time = SystemTime()
        let deadline = time.uptime + .seconds(90)
        while try await !isSo() {
            guard time.uptime < deadline else { throw BerthError(.timedOut, "waited in vain for \(what)") }
            try await time.wait(for: .milliseconds(100))
        }
    }
}
