import Base
import Testing

@testable import Client
@testable import Server

@Suite struct PieceTests {
    @Test func `events are read however the bytes are cut`() {
        let stream =
            "retry: 5\n\nevent: state\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n: alive\n\nevent: end\ndata: {}\n\n"
        let expected = [
            EventStreamParser.Event(name: "state", id: "1", data: "{\"a\":\n1}"),
            EventStreamParser.Event(name: "end", id: nil, data: "{}"),
        ]
        for size in 1...stream.utf8.count {
            var parser = EventStreamParser()
            var events: [EventStreamParser.Event] = []
            var rest = Array(stream.utf8)[...]
            while !rest.isEmpty {
                events += parser.feed(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
            }
            #expect(events == expected, "\(size)")
        }
    }

    @Test func `text never ends within a character while more may come`() {
        let bytes = Array("aé€😀".utf8)
        for count in 1...bytes.count {
            let text = ExecutionStreamer.text(Array(bytes.prefix(count)), mayGrow: true)
            #expect(text.map { bytes.starts(with: $0.utf8) } == true, "\(count)")
        }
        #expect(ExecutionStreamer.text([0x61, 0xC3], mayGrow: false) == nil)
        #expect(ExecutionStreamer.text([0x61, 0xFF, 0x62], mayGrow: true) == nil)
        #expect(ExecutionStreamer.text([0xFF], mayGrow: true) == nil)
    }
}
