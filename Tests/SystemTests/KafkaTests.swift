import Base
import FoundationEssentials
import TestSupport
import Testing

/// The shipped server on brokers, and clients that were not written here.
@Suite struct KafkaTests {
    @Test func `requests of kcat and kafka-python run, and aiokafka reads how they end`() async throws {
        let gateway = try await KafkaGateway()
        let berth = try Installation(variables: ["KAFKA_BROKERS": gateway.address])
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
            let messages = try ends.map { try BusReading.value(of: $0) }
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

    @Test func `output comes to aiokafka by stream, byte for byte`() async throws {
        let brokers = try await MockBrokers(1, topics: BusReading.topics)
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
                let message = try BusReading.value(of: String(line))
                written[message["type"]?.string ?? "", default: ""] += message["chunk"]?.string ?? ""
            }
            #expect(written == ["stdout": "line 1 é\nline 2 é\nline 3 é\n", "stderr": "wrong\n"])
            reader.signal(9)
        }
    }

    @Test func `while the brokers are gone runs go on, and everything is published when they are back`() async throws {
        let brokers = try await MockBrokers(1, topics: BusReading.topics)
        let berth = try Installation(variables: ["KAFKA_BROKERS": brokers.address])
        try await withServer(berth) { berth, _ in
            _ = try await berth.berth("exec", "--", "true")
            try await brokers.command("down 1")
            for number in 1...5 {
                let run = try await berth.berth("exec", "--", "sh", "-c", "echo out \(number)")
                #expect(run.output == "out \(number)\n")
            }
            try await BusReading.untilMetric("berth_bus_reached 0", berth)
            try await brokers.command("up 1")
            try await BusReading.untilMetric("berth_bus_waiting_events 0", berth)
            try await BusReading.untilMetric("berth_bus_reached 1", berth)
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

    @Test func `a broker that is killed holds nobody up, and hears everything in order when it is back`() async throws {
        let gateway = try await KafkaGateway()
        let berth = try Installation(variables: ["KAFKA_BROKERS": gateway.address])
        try await withServer(berth) { berth, _ in
            _ = try await berth.berth("exec", "--", "true")
            try await BusReading.untilMetric("berth_bus_waiting_events 0", berth)
            try await gateway.kill()
            for number in 1...5 {
                let run = try await berth.berth("exec", "--", "sh", "-c", "echo out \(number)")
                #expect(run.output == "out \(number)\n")
            }
            try await BusReading.untilMetric("berth_bus_reached 0", berth)
            try await gateway.start()
            try await BusReading.untilMetric("berth_bus_waiting_events 0", berth)
            let ids = (try await berth.json("ls")["items"]?.array ?? []).compactMap { $0["id"]?.string }
            #expect(ids.count == 6)
            let reader = try KafkaClients.reader(of: ["persona.lifecycle.v1"], at: gateway.address)
            for id in ids.prefix(5) {
                let end = #""event":"execution.completed","executionId":"\#(id)""#.replacing("\"", with: "\\\"")
                _ = try await reader.line(containing: end, within: .seconds(120))
            }
            let read = try String(decoding: reader.standardOutput, as: UTF8.self).split(separator: "\n")
                .filter { $0.contains("sequence") }.map { try BusReading.value(of: String($0)) }
            for id in ids.prefix(5) {
                var told: [Int64] = []
                for message in read where message["id"]?.string == id {
                    let sequence = message["sequence"]?.integer ?? 0
                    if !told.contains(sequence) { told.append(sequence) }
                }
                #expect(told.count > 1)
                #expect(told == told.sorted())
            }
            reader.signal(9)
        }
    }

    /// The gateway hangs up on a message of this size. The mock cluster takes it, and then forgets all of its partition.
    @Test func `a message of 50 MB is a dead letter, and the one beside it runs`() async throws {
        let topics = BusReading.topics.filter { !$0.hasPrefix("persona.exec.") } + ["persona.exec.v1:2"]
        let brokers = try await MockBrokers(1, topics: topics)
        let berth = try Installation(variables: ["KAFKA_BROKERS": brokers.address])
        try await withServer(berth) { berth, _ in
            let (address, exec) = (brokers.address, "persona.exec.v1")
            let large = try berth.directory.write(String(repeating: "a", count: 50_000_000), to: "large")
            let small = try berth.directory.write(#"{"executionId":"beside-it","command":["true"]}"#, to: "small")
            try await KafkaClients.produce(file: large, to: exec, partition: 0, at: address)
            try await KafkaClients.produce(file: small, to: exec, partition: 1, at: address)
            let reader = try KafkaClients.reader(of: ["persona.lifecycle.v1", "persona.dlq.v1"], at: address)
            let end = try await reader.line(containing: #"\"type\":\"complete\""#, within: .seconds(120))
            #expect(try BusReading.value(of: end)["executionId"]?.string == "beside-it")
            let letter = try BusReading.value(
                of: try await reader.line(containing: "persona.dlq.v1", within: .seconds(120))
            )
            #expect(letter["errorCode"]?.string == "too_large")
            #expect(letter["originalBytes"]?.integer == 50_000_000)
            #expect(letter["isTruncated"]?.bool == true)
            reader.signal(9)
        }
    }
}
