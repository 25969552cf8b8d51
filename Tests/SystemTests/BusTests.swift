import Base
import FoundationEssentials
import TestSupport
import Testing

/// The shipped server with its own bus and with brokers, and clients that were not written here.
@Suite struct BusTests {
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
            if let found = try lines.map({ try BusReading.value(of: $0) }).first(where: isWanted) { return found }
            count = lines.count + 1
        }
    }
}
