import Base
import FoundationEssentials
import Glibc
import TestSupport
import Testing

/// The shipped server with its own bus and with brokers, and clients that were not written here.
@Suite struct BusTests {
    /// `make kafka` sets it: the gateway comes up erratically, and takes one test run at a time.
    private static let withForeignClients = getenv("BERTH_KAFKA_CLIENTS") != nil

    @Test func `a message on the embedded bus runs, and one that cannot is a dead letter`() async throws {
        try await withServer { berth, _ in
            let body =
                #"{"executionId":"mine-1","env":{"TOKEN":"sk-secret"},"command":["sh","-c","echo $TOKEN | wc -c"]}"#
            for _ in 0..<3 { try await Self.publish(body, berth) }
            try await Self.publish(#"{"comand":["true"]}"#, berth)
            let ended = try await Self.messages(of: "persona.lifecycle.v1", berth) { $0["type"]?.string == "complete" }
            #expect(ended["executionId"]?.string == "mine-1")
            #expect(ended["status"]?.string == "completed")
            #expect(ended["exitCode"]?.integer == 0)
            let letter = try await Self.messages(of: "persona.dlq.v1", berth) { _ in true }
            #expect(letter["errorCode"]?.string == "unknown_field")
            #expect(letter["error"]?.string?.contains("command") == true)
            #expect(letter["originalMessage"]?.string == #"{"comand":["true"]}"#)
            let list = try await berth.json("ls")
            #expect((list["items"]?.array ?? []).count == 1)
            let shown = try await berth.berth("bus", "tail", "persona.exec.v1")
            #expect(shown.output.contains("<redacted>"))
            #expect(!shown.output.contains("sk-secret"))
            let groups = try await berth.json("bus", "groups")
            #expect((groups["items"]?.array ?? []).allSatisfy { $0["lag"]?.integer == 0 })
            let found = try await check(["python3", ScriptedPeer.path("find_bytes.py"), berth.data, "sk-secret"])
            #expect(found.isEmpty, "\(found)")
            let foreign = try await berth.berth("bus", "tail", "tenant_org_01jd0000000000000000000000.persona.exec.v1")
            #expect(foreign.status == 66)
        }
    }

    @Test(.enabled(if: withForeignClients))
    func `output comes to aiokafka by stream, byte for byte`() async throws {
        let brokers = try await MockBrokers(1, topics: Self.topics)
        let berth = try Installation(variables: ["KAFKA_BROKERS": brokers.address])
        try await withServer(berth) { berth, _ in
            let reader = try KafkaClients.reader(of: ["persona.output.v1"], at: brokers.address)
            _ = try await reader.line(containing: "reading", within: .seconds(90))
            let script = "for i in 1 2 3; do echo line $i é; done; echo wrong >&2"
            _ = try await berth.berth("exec", "--", "sh", "-c", script)
            _ = try await reader.line(containing: "line 3", within: .seconds(60))
            _ = try await reader.line(containing: "wrong", within: .seconds(60))
            var written: [String: String] = [:]
            for line in String(decoding: reader.standardOutput, as: UTF8.self).split(separator: "\n") {
                guard line.contains("persona.output.v1"), line.contains("chunk") else { continue }
                let message = try Self.value(of: String(line))
                written[message["type"]?.string ?? "", default: ""] += message["chunk"]?.string ?? ""
            }
            #expect(written == ["stdout": "line 1 é\nline 2 é\nline 3 é\n", "stderr": "wrong\n"])
            reader.signal(9)
        }
    }

    @Test(.enabled(if: withForeignClients))
    func `requests of kcat and kafka-python run, and aiokafka reads how they end`() async throws {
        let gateway = try await KafkaGateway.shared()
        let berth = try Installation(variables: ["KAFKA_BROKERS": gateway.address, "KAFKA_GROUP_ID": "system-1"])
        try await withServer(berth) { berth, _ in
            let reader = try KafkaClients.reader(
                of: ["persona.lifecycle.v1", "persona.dlq.v1"],
                at: gateway.address
            )
            _ = try await reader.line(containing: "reading", within: .seconds(90))
            let script = "for i in 1 2 3; do echo line $i é; done; echo wrong >&2; exit 3"
            let request = #"{"executionId":"kcat-1","personaId":"p1","command":["sh","-c","\#(script)"]}"#
            for _ in 0..<2 {
                try await KafkaClients.produce(request, to: "persona.exec.v1", key: "p1", at: gateway.address)
            }
            try await KafkaClients.produce("not json", to: "persona.exec.v1", key: "p1", at: gateway.address)
            let other = try KafkaClients.python(
                "kafka-python",
                "kafka_python_producer.py",
                [gateway.address, "persona.exec.v1", "p2", #"{"executionId":"python-1","command":["echo","hi"]}"#]
            )
            #expect(try await other.exit(within: .seconds(90)) == 0)

            let ends = try await reader.lines(containing: #"\"type\":\"complete\""#, atLeast: 2, within: .seconds(120))
            let messages = try ends.map { try Self.value(of: $0) }
            let first = try #require(messages.first { $0["executionId"]?.string == "kcat-1" })
            #expect(first["status"]?.string == "failed")
            #expect(first["exitCode"]?.integer == 3)
            #expect(first["personaId"]?.string == "p1")
            #expect(
                messages.contains { $0["executionId"]?.string == "python-1" && $0["status"]?.string == "completed" }
            )
            _ = try await reader.line(containing: "persona.dlq.v1", within: .seconds(60))
            let read = String(decoding: reader.standardOutput, as: UTF8.self).split(separator: "\n")
            #expect(read.filter { $0.contains("kcat-1") && $0.contains(#"\"type\":\"complete\""#) }.count == 1)
            reader.signal(9)
        }
    }

    @Test func `while the brokers are gone runs go on, and everything is published when they are back`() async throws {
        let brokers = try await MockBrokers(1, topics: Self.topics)
        let berth = try Installation(variables: ["KAFKA_BROKERS": brokers.address])
        try await withServer(berth) { berth, _ in
            _ = try await berth.berth("exec", "--", "true")
            try await brokers.command("down 1")
            for number in 1...5 {
                let run = try await berth.berth("exec", "--", "sh", "-c", "echo out \(number)")
                #expect(run.output == "out \(number)\n")
            }
            try await Self.untilMetric("berth_bus_reached 0", berth)
            try await brokers.command("up 1")
            try await Self.untilMetric("berth_bus_waiting_events 0", berth)
            try await Self.untilMetric("berth_bus_reached 1", berth)
            let page = try await berth.json("ls")
            let ids = (page["items"]?.array ?? []).compactMap { $0["id"]?.string }
            #expect(ids.count == 6)
            let ended = try await berth.berth("bus", "tail", "persona.lifecycle.v1", "--limit", "1000", "--json")
            for id in ids {
                let own = ended.output.split(separator: "\n").filter {
                    $0.contains(id) && $0.contains(#"\"type\":\"complete\""#)
                }
                #expect(!own.isEmpty, "\(id)")
            }
        }
    }

    @Test func `a broker that answers garbage harms nothing, and the doctor names it`() async throws {
        let peer = try await ScriptedPeer("garbage.py", [])
        let berth = try Installation(variables: ["KAFKA_BROKERS": "127.0.0.1:\(peer.port)"])
        try await withServer(berth) { berth, _ in
            let run = try await berth.berth("exec", "--", "echo", "fine")
            #expect(run.output == "fine\n")
            let doctor = try await berth.berth("doctor", "--json")
            let findings = try JSONDecoder().decode(JSONValue.self, from: Data(doctor.output.utf8)).array ?? []
            #expect(findings.first { $0["subject"]?.string == "event bus" }?["level"]?.string == "bad")
            let topics = try await berth.berth("bus", "topics")
            #expect(topics.status == 69)
            #expect(topics.errors.contains("kafkaBrokers") || topics.errors.contains("unavailable"), "\(topics.errors)")
        }
    }

    private static let topics = ["exec", "output", "lifecycle", "events", "dlq"].map { "persona.\($0).v1:1" }

    private static func publish(_ body: String, _ berth: Installation) async throws {
        let result = try await berth.berth("bus", "publish", "persona.exec.v1", input: body)
        guard result.status == 0 else { throw UnexpectedStatus(arguments: ["bus", "publish"], result: result) }
    }

    /// The value of the first message that is wanted, as soon as there is one.
    private static func messages(
        of topic: String,
        _ berth: Installation,
        where isWanted: (JSONValue) -> Bool
    ) async throws -> JSONValue {
        let tail = try berth.starting("bus", "tail", "-f", "--json", topic)
        defer { tail.signal(9) }
        var count = 1
        while true {
            let lines = try await tail.lines(containing: "offset", atLeast: count, within: .seconds(60))
            if let found = try lines.map({ try value(of: $0) }).first(where: isWanted) { return found }
            count = lines.count + 1
        }
    }

    /// The JSON in the value of a message that is printed as JSON.
    private static func value(of line: String) throws -> JSONValue {
        let message = try JSONValue(parsing: line.utf8)
        return try JSONValue(parsing: (message["value"]?.string ?? "").utf8)
    }

    private static func untilMetric(_ line: String, _ berth: Installation) async throws {
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
