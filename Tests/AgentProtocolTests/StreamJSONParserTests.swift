import AgentProtocol
import Base
import Domain
import Testing

@Suite struct StreamJSONParserTests {
    private static let transcript = """
        {"type":"system","subtype":"init","session_id":"s1","model":"m1","tools":["Bash","Write"]}
        {"type":"assistant","message":{"id":"a","content":[{"type":"text","text":"hé\\u0021"}],"usage":{"input_tokens":3}}}
        {"type":"assistant","message":{"id":"a","content":[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"ls"}}],"usage":{"input_tokens":3}}}
        {"type":"user","message":{"content":[{"tool_use_id":"t1","type":"tool_result","content":[{"type":"text","text":"a"}],"is_error":true}]}}
        not json at all
        {"type":"later_kind","x":1}

        {"type":"result","subtype":"success","is_error":false,"result":"done","num_turns":2,"total_cost_usd":0.25,"usage":{"output_tokens":7},"session_id":"s1","api_error_status":null,"duration_ms":12}

        """

    private static let expected: [AgentEvent] = [
        .started(agentSessionID: "s1", model: "m1", tools: ["Bash", "Write"]),
        .text("hé!"),
        .usage(AgentUsage(inputTokens: 3)),
        .toolCall(id: "t1", name: "Bash", input: #"{"command":"ls"}"#),
        .toolResult(id: "t1", content: "a", isError: true),
        .other(type: "text", json: #""not json at all""#),
        .other(type: "later_kind", json: #"{"type":"later_kind","x":1}"#),
        .result(
            AgentVerdict(
                isError: false,
                subtype: "success",
                text: "done",
                usage: AgentUsage(outputTokens: 7, costUSD: 0.25, turns: 2),
                durationMs: 12,
                agentSessionID: "s1"
            )
        ),
    ]

    @Test(arguments: [1, 2, 7, 64, 100_000])
    func `pieces of any size give the same events`(size: Int) {
        var parser = StreamJSONParser()
        let bytes = Array(Self.transcript.utf8)
        var events: [StreamJSONParser.Parsed] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            events += parser.feed(bytes[start..<min(start + size, bytes.count)])
        }
        #expect(events.map(\.event) == Self.expected)
        #expect(events.last?.endOffset == Int64(bytes.count))
        #expect(parser.offset == Int64(bytes.count))
    }

    @Test func `a parser goes on from the offset behind any event`() throws {
        let bytes = Array(Self.transcript.utf8)
        var whole = StreamJSONParser()
        let events = whole.feed(bytes)
        for event in events {
            var rest = StreamJSONParser(from: event.endOffset)
            let following = rest.feed(bytes[Int(event.endOffset)...])
            func withoutUsage(_ list: some Sequence<StreamJSONParser.Parsed>) -> [StreamJSONParser.Parsed] {
                list.filter { if case .usage = $0.event { false } else { true } }
            }
            #expect(withoutUsage(following) == withoutUsage(events.filter { $0.endOffset > event.endOffset }))
        }
    }

    @Test func `a line that is too long is told of and skipped`() {
        var parser = StreamJSONParser(maximumLine: 100)
        let long = String(repeating: "x", count: 250)
        let events = parser.feed(Array("\(long)\n{\"type\":\"k\"}\n".utf8))
        #expect(
            events.map(\.event) == [
                .other(type: "oversized", json: #"{"bytes":250}"#), .other(type: "k", json: #"{"type":"k"}"#),
            ]
        )
    }

    @Test func `a last line without newline counts at the end`() {
        var parser = StreamJSONParser()
        #expect(parser.feed(Array(#"{"type":"k"}"#.utf8)).isEmpty)
        #expect(parser.finish().map(\.event) == [.other(type: "k", json: #"{"type":"k"}"#)])
    }

    @Test func `behind a gap the rest of the cut line is skipped`() {
        var parser = StreamJSONParser()
        _ = parser.feed(Array("{\"type\":".utf8))
        parser.jump(to: 1000)
        let events = parser.feed(Array("tail of a line\"}\n{\"type\":\"k\"}\n".utf8)).map(\.event)
        #expect(events.last == .other(type: "k", json: #"{"type":"k"}"#))
        #expect(parser.offset == 1000 + 17 + 13)
    }

    @Test func `events survive their JSON form`() throws {
        for event in Self.expected {
            #expect(try roundTrip(event) == event)
        }
    }
}
